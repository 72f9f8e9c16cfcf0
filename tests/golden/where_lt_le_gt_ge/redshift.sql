select
  count(*) as queries
from (
  select
    h.start_time as started_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then nullif(h.end_time, timestamp '2000-01-01 00:00:00') end as ended_at,
    h.queue_time as queue_us,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then h.elapsed_time end as elapsed_us,
    coalesce(d.rows_read, 0) as rows_read,
    coalesce(d.blocks_read, 0) * 1048576 as bytes_read,
    (lower(rtrim(h.query_type)) not in ('utility', 'command') and h.query_text not like '/* {"app":"lakeapm"%') as counted
  from sys_query_history as h
  left join (
    select query_id,
      sum(case when step_id >= 0 and step_name = 'scan' and table_id > 0 then output_rows end) as rows_read,
      sum(case when step_id = -1 and segment_id <> -1 then blocks_read end) as blocks_read
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
  and elapsed_us < 5000000
  and queue_us <= 250000
  and rows_read > 1000
  and bytes_read >= 2000000000
  and counted
