select
  "label",
  percentile_cont(0.9) within group (order by cast(bytes_spilled as float8)) as "p90 bytes_spilled"
from (
  select
    nullif(nullif(rtrim(h.query_label), ''), 'default') as "label",
    h.start_time as started_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then nullif(h.end_time, timestamp '2000-01-01 00:00:00') end as ended_at,
    coalesce(d.blocks_spilled, 0) * 1048576 as bytes_spilled,
    (lower(rtrim(h.query_type)) not in ('utility', 'command') and h.query_text not like '/* {"app":"lakeapm"%') as counted
  from sys_query_history as h
  left join (
    select query_id,
      sum(case when step_id = -1 and segment_id <> -1 then spilled_block_local_disk + spilled_block_remote_disk end) as blocks_spilled
    from sys_query_detail
    where start_time >= timestamp '2026-11-18 12:00:00.000000'
    group by query_id
  ) as d on d.query_id = h.query_id
  where h.user_id > 1 /* others are the system's own */
    and h.start_time >= timestamp '2026-11-18 12:00:00.000000' and h.start_time < timestamp '2026-11-20 12:00:00.000000'
    and h.end_time >= timestamp '2026-11-19 12:00:00.000000' and h.end_time < timestamp '2026-11-20 12:00:00.000000'
) as query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
group by 1
order by 2 desc nulls last, 1 nulls last
limit 1000001
