select
  timestamp 'epoch' + floor(extract(epoch from ended_at) / 3600) * 3600 * interval '1 second' as "time",
  percentile_cont(0.95) within group (order by cast(elapsed_us as float8)) / 1000000.0::float8 as "p95 latency",
  count(*) as count_1
from (
  select
    case rtrim(h.status) when 'success' then 'success' when 'failed' then 'failed' when 'canceled' then 'aborted' when 'queued' then 'queued' else 'running' end as status,
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
  and counted
  and status = 'success'
group by 1
limit 1000001
