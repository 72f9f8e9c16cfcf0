select
  date_trunc('week', ended_at) as "time",
  cast(count(case when status = 'failed' then 1 end) as float8) / nullif(count(*), 0) as error_rate
from (
  select
    case rtrim(h.status) when 'success' then 'success' when 'failed' then 'failed' when 'canceled' then 'aborted' when 'queued' then 'queued' else 'running' end as status,
    h.start_time as started_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then nullif(h.end_time, timestamp '2000-01-01 00:00:00') end as ended_at,
    (lower(rtrim(h.query_type)) not in ('utility', 'command') and h.query_text not like '/* {"app":"lakeapm"%') as counted
  from sys_query_history as h
  where h.user_id > 1 /* others are the system's own */
    and h.start_time >= timestamp '2026-11-01 00:00:00.000000' and h.start_time < timestamp '2026-11-23 00:00:00.000000'
    and h.end_time >= timestamp '2026-11-02 00:00:00.000000' and h.end_time < timestamp '2026-11-23 00:00:00.000000'
) as query
where ended_at >= timestamp '2026-11-02 00:00:00.000000'
  and ended_at < timestamp '2026-11-23 00:00:00.000000'
  and counted
  and status in ('success', 'failed', 'aborted')
group by 1
limit 1000001
