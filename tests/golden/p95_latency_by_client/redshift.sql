with grouped as (
  select
    client,
    percentile_cont(0.95) within group (order by cast(elapsed_us as float8)) / 1000000.0::float8 as "p95 latency"
  from (
  select
    c.application_name as client,
    case rtrim(h.status) when 'success' then 'success' when 'failed' then 'failed' when 'canceled' then 'aborted' when 'queued' then 'queued' else 'running' end as status,
    h.start_time as started_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then nullif(h.end_time, timestamp '2000-01-01 00:00:00') end as ended_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then h.elapsed_time end as elapsed_us,
    (lower(rtrim(h.query_type)) not in ('utility', 'command') and h.query_text not like '/* {"app":"lakeapm"%') as counted
  from sys_query_history as h
  left join (
    select session_id, application_name, named_at, lead(named_at) over (partition by session_id order by named_at, named) as renamed_at
    from (
      select session_id, nullif(rtrim(application_name), '') as application_name, record_time as named_at, case when rtrim(application_name) <> '' then 1 else 0 end as named
      from sys_connection_log
      where record_time < timestamp '2026-11-20 12:00:00.000000' and (rtrim(application_name) <> '' or rtrim(event) = 'initiating session')
    ) as names
  ) as c on c.session_id = h.session_id and c.named_at <= h.start_time and (c.renamed_at is null or c.renamed_at > h.start_time)
  where h.user_id > 1 /* others are the system's own */
    and h.start_time >= timestamp '2026-11-18 12:00:00.000000' and h.start_time < timestamp '2026-11-20 12:00:00.000000'
    and h.end_time >= timestamp '2026-11-19 12:00:00.000000' and h.end_time < timestamp '2026-11-20 12:00:00.000000'
) as query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
    and status = 'success'
  group by 1
), ranked as (
  select *, row_number() over (order by "p95 latency" desc nulls last, client nulls last) as place, count(*) over () as group_count
  from grouped
)
select
  case when place <= 5 then place else 6 end as place,
  max(client) as client,
  max(case when place <= 5 then "p95 latency" end) as "p95 latency",
  max(group_count) as group_count
from ranked
group by 1
order by 1
