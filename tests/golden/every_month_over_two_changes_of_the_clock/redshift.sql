select
  case when ended_at < timestamp '2026-03-08 07:00:00.000000' then date_trunc('month', ended_at + interval '-18000 seconds') when ended_at < timestamp '2026-11-01 06:00:00.000000' then date_trunc('month', ended_at + interval '-14400 seconds') else date_trunc('month', ended_at + interval '-18000 seconds') end as "time",
  sum(bytes_read) as bytes_read
from (
  select
    h.start_time as started_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then nullif(h.end_time, timestamp '2000-01-01 00:00:00') end as ended_at,
    coalesce(d.blocks_read, 0) * 1048576 as bytes_read,
    (lower(rtrim(h.query_type)) not in ('utility', 'command') and h.query_text not like '/* {"app":"lakeapm"%') as counted
  from sys_query_history as h
  left join (
    select query_id,
      sum(case when step_id = -1 and segment_id <> -1 then blocks_read end) as blocks_read
    from sys_query_detail
    where start_time >= timestamp '2025-12-31 05:00:00.000000'
    group by query_id
  ) as d on d.query_id = h.query_id
  where h.user_id > 1 /* others are the system's own */
    and h.start_time >= timestamp '2025-12-31 05:00:00.000000' and h.start_time < timestamp '2027-01-01 05:00:00.000000'
    and h.end_time >= timestamp '2026-01-01 05:00:00.000000' and h.end_time < timestamp '2027-01-01 05:00:00.000000'
) as query
where ended_at >= timestamp '2026-01-01 05:00:00.000000'
  and ended_at < timestamp '2027-01-01 05:00:00.000000'
  and counted
group by 1
limit 1000001
