select
  count(*) as queries
from (
  select
    h.start_time as started_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then nullif(h.end_time, timestamp '2000-01-01 00:00:00') end as ended_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then h.elapsed_time end as elapsed_us,
    (lower(rtrim(h.query_type)) not in ('utility', 'command') and h.query_text not like '/* {"app":"lakeapm"%') as counted
  from sys_query_history as h
  where h.user_id > 1 /* others are the system's own */
    and h.start_time >= timestamp '2026-11-18 12:00:00.000000' and h.start_time < timestamp '2026-11-20 12:00:00.000000'
    and h.end_time >= timestamp '2026-11-19 12:00:00.000000' and h.end_time < timestamp '2026-11-20 12:00:00.000000'
) as query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and elapsed_us >= 1000000
  and elapsed_us <= 1500000
  and counted
