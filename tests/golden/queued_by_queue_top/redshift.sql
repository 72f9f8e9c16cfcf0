with grouped as (
  select
    queue,
    sum(datediff('microsecond', part_from, part_to)) / 1000000.0::float8 as queued
  from (
    select queue, ended_at, queue_us, started_at, part_at, part_start, part_end, greatest(lasts_from, part_start) as part_from, least(lasts_to, part_end) as part_to
    from (
      select queue, ended_at, queue_us, started_at, started_at as lasts_from, least(started_at + greatest(coalesce(queue_us, 0), 0) * interval '1 microsecond', greatest(coalesce(ended_at, timestamp '2026-11-20 12:00:00.000000'), started_at)) as lasts_to from (
      select
        queue,
        ended_at,
        queue_us,
        started_at
      from (
  select
    nullif(rtrim(h.service_class_name), '') as queue,
    h.start_time as started_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then nullif(h.end_time, timestamp '2000-01-01 00:00:00') end as ended_at,
    h.queue_time as queue_us
  from sys_query_history as h
  where h.user_id > 1 /* others are the system's own */
    and h.start_time >= timestamp '2026-11-18 12:00:00.000000' and h.start_time < timestamp '2026-11-20 12:00:00.000000'
    and (h.end_time >= timestamp '2026-11-19 12:00:00.000000' or rtrim(h.status) in ('planning', 'queued', 'running', 'returning'))
) as query
      where started_at < timestamp '2026-11-20 12:00:00.000000'
        and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
      ) as lasting
    ) as lasted
    join (
      select timestamp '2026-11-19 12:00:00.000000' as part_at, timestamp '2026-11-19 12:00:00.000000' as part_start, timestamp '2026-11-20 12:00:00.000000' as part_end
    ) as buckets on lasts_from < part_end and lasts_to > part_start and lasts_from < lasts_to
  ) as parts
  group by 1
), ranked as (
  select *, row_number() over (order by queued desc nulls last, queue nulls last) as place, count(*) over () as group_count
  from grouped
)
select
  case when place <= 3 then place else 4 end as place,
  max(queue) as queue,
  sum(queued) as queued,
  max(group_count) as group_count
from ranked
group by 1
order by 1
