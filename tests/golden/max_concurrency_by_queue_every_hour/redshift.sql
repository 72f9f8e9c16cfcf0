select
  part_at as "time",
  queue,
  coalesce(max(at_once), 0) as "max concurrency"
from (
  select queue, part_at, step, sum(step) over (partition by queue, part_at order by instant, step rows unbounded preceding) as at_once
  from (
    /* an end before a beginning at the same instant */
    select queue, part_at, step, case when step = 1 then part_from else part_to end as instant
    from (
  select queue, ended_at, queue_us, started_at, part_at, part_start, part_end, greatest(lasts_from, part_start) as part_from, least(lasts_to, part_end) as part_to
  from (
    select queue, ended_at, queue_us, started_at, least(started_at + greatest(coalesce(queue_us, 0), 0) * interval '1 microsecond', greatest(coalesce(ended_at, timestamp '2026-11-20 12:00:00.000000'), started_at)) as lasts_from, greatest(coalesce(ended_at, timestamp '2026-11-20 12:00:00.000000'), started_at) as lasts_to from (
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
    select timestamp '2026-11-19 12:00:00.000000' as part_at, timestamp '2026-11-19 12:00:00.000000' as part_start, timestamp '2026-11-19 13:00:00.000000' as part_end
    union all select timestamp '2026-11-19 13:00:00.000000' as part_at, timestamp '2026-11-19 13:00:00.000000' as part_start, timestamp '2026-11-19 14:00:00.000000' as part_end
    union all select timestamp '2026-11-19 14:00:00.000000' as part_at, timestamp '2026-11-19 14:00:00.000000' as part_start, timestamp '2026-11-19 15:00:00.000000' as part_end
    union all select timestamp '2026-11-19 15:00:00.000000' as part_at, timestamp '2026-11-19 15:00:00.000000' as part_start, timestamp '2026-11-19 16:00:00.000000' as part_end
    union all select timestamp '2026-11-19 16:00:00.000000' as part_at, timestamp '2026-11-19 16:00:00.000000' as part_start, timestamp '2026-11-19 17:00:00.000000' as part_end
    union all select timestamp '2026-11-19 17:00:00.000000' as part_at, timestamp '2026-11-19 17:00:00.000000' as part_start, timestamp '2026-11-19 18:00:00.000000' as part_end
    union all select timestamp '2026-11-19 18:00:00.000000' as part_at, timestamp '2026-11-19 18:00:00.000000' as part_start, timestamp '2026-11-19 19:00:00.000000' as part_end
    union all select timestamp '2026-11-19 19:00:00.000000' as part_at, timestamp '2026-11-19 19:00:00.000000' as part_start, timestamp '2026-11-19 20:00:00.000000' as part_end
    union all select timestamp '2026-11-19 20:00:00.000000' as part_at, timestamp '2026-11-19 20:00:00.000000' as part_start, timestamp '2026-11-19 21:00:00.000000' as part_end
    union all select timestamp '2026-11-19 21:00:00.000000' as part_at, timestamp '2026-11-19 21:00:00.000000' as part_start, timestamp '2026-11-19 22:00:00.000000' as part_end
    union all select timestamp '2026-11-19 22:00:00.000000' as part_at, timestamp '2026-11-19 22:00:00.000000' as part_start, timestamp '2026-11-19 23:00:00.000000' as part_end
    union all select timestamp '2026-11-19 23:00:00.000000' as part_at, timestamp '2026-11-19 23:00:00.000000' as part_start, timestamp '2026-11-20 00:00:00.000000' as part_end
    union all select timestamp '2026-11-20 00:00:00.000000' as part_at, timestamp '2026-11-20 00:00:00.000000' as part_start, timestamp '2026-11-20 01:00:00.000000' as part_end
    union all select timestamp '2026-11-20 01:00:00.000000' as part_at, timestamp '2026-11-20 01:00:00.000000' as part_start, timestamp '2026-11-20 02:00:00.000000' as part_end
    union all select timestamp '2026-11-20 02:00:00.000000' as part_at, timestamp '2026-11-20 02:00:00.000000' as part_start, timestamp '2026-11-20 03:00:00.000000' as part_end
    union all select timestamp '2026-11-20 03:00:00.000000' as part_at, timestamp '2026-11-20 03:00:00.000000' as part_start, timestamp '2026-11-20 04:00:00.000000' as part_end
    union all select timestamp '2026-11-20 04:00:00.000000' as part_at, timestamp '2026-11-20 04:00:00.000000' as part_start, timestamp '2026-11-20 05:00:00.000000' as part_end
    union all select timestamp '2026-11-20 05:00:00.000000' as part_at, timestamp '2026-11-20 05:00:00.000000' as part_start, timestamp '2026-11-20 06:00:00.000000' as part_end
    union all select timestamp '2026-11-20 06:00:00.000000' as part_at, timestamp '2026-11-20 06:00:00.000000' as part_start, timestamp '2026-11-20 07:00:00.000000' as part_end
    union all select timestamp '2026-11-20 07:00:00.000000' as part_at, timestamp '2026-11-20 07:00:00.000000' as part_start, timestamp '2026-11-20 08:00:00.000000' as part_end
    union all select timestamp '2026-11-20 08:00:00.000000' as part_at, timestamp '2026-11-20 08:00:00.000000' as part_start, timestamp '2026-11-20 09:00:00.000000' as part_end
    union all select timestamp '2026-11-20 09:00:00.000000' as part_at, timestamp '2026-11-20 09:00:00.000000' as part_start, timestamp '2026-11-20 10:00:00.000000' as part_end
    union all select timestamp '2026-11-20 10:00:00.000000' as part_at, timestamp '2026-11-20 10:00:00.000000' as part_start, timestamp '2026-11-20 11:00:00.000000' as part_end
    union all select timestamp '2026-11-20 11:00:00.000000' as part_at, timestamp '2026-11-20 11:00:00.000000' as part_start, timestamp '2026-11-20 12:00:00.000000' as part_end
  ) as buckets on lasts_from < part_end and lasts_to > part_start and lasts_from < lasts_to
) as parts
    cross join (select 1 as step union all select -1) as steps
    where part_from < part_to
  ) as instants
) as swept
group by 1, 2
limit 1000001
