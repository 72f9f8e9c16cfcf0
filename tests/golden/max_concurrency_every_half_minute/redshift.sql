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
  select queue, ended_at, queue_us, started_at, lasts_from, lasts_to, timestamp '2026-11-19 12:00:00.000000' + (first_bucket + hop) * 30000000 * interval '1 microsecond' as part_at, greatest(timestamp '2026-11-19 12:00:00.000000' + (first_bucket + hop) * 30000000 * interval '1 microsecond', timestamp '2026-11-19 12:00:00.000000') as part_start, least(timestamp '2026-11-19 12:00:00.000000' + (first_bucket + hop + 1) * 30000000 * interval '1 microsecond', timestamp '2026-11-20 12:00:00.000000') as part_end
  from (
  select queue, ended_at, queue_us, started_at, lasts_from, lasts_to, first_bucket, further, hop + digit * 1 as hop
  from (
  select queue, ended_at, queue_us, started_at, lasts_from, lasts_to, first_bucket, further, hop + digit * 10 as hop
  from (
  select queue, ended_at, queue_us, started_at, lasts_from, lasts_to, first_bucket, further, hop + digit * 100 as hop
  from (
  select queue, ended_at, queue_us, started_at, lasts_from, lasts_to, first_bucket, further, hop + digit * 1000 as hop
  from (
  select queue, ended_at, queue_us, started_at, lasts_from, lasts_to, first_bucket, greatest(last_bucket - first_bucket, 0) as further, 0 as hop
  from (
  select queue, ended_at, queue_us, started_at, lasts_from, lasts_to, (datediff('microsecond', timestamp '2026-11-19 12:00:00.000000', greatest(lasts_from, timestamp '2026-11-19 12:00:00.000000'))) / 30000000 as first_bucket, (datediff('microsecond', timestamp '2026-11-19 12:00:00.000000', least(lasts_to, timestamp '2026-11-20 12:00:00.000000')) - 1) / 30000000 as last_bucket
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
  where lasts_from < timestamp '2026-11-20 12:00:00.000000' and lasts_to > timestamp '2026-11-19 12:00:00.000000' and lasts_from < lasts_to
  ) as placed
  offset 0) as hops_1000
  join (select 0 as digit union all select 1 as digit union all select 2 as digit union all select 3 as digit union all select 4 as digit union all select 5 as digit union all select 6 as digit union all select 7 as digit union all select 8 as digit union all select 9 as digit) as digits_1000 on hop + digit * 1000 <= further
  offset 0) as hops_100
  join (select 0 as digit union all select 1 as digit union all select 2 as digit union all select 3 as digit union all select 4 as digit union all select 5 as digit union all select 6 as digit union all select 7 as digit union all select 8 as digit union all select 9 as digit) as digits_100 on hop + digit * 100 <= further
  offset 0) as hops_10
  join (select 0 as digit union all select 1 as digit union all select 2 as digit union all select 3 as digit union all select 4 as digit union all select 5 as digit union all select 6 as digit union all select 7 as digit union all select 8 as digit union all select 9 as digit) as digits_10 on hop + digit * 10 <= further
  offset 0) as hops_1
  join (select 0 as digit union all select 1 as digit union all select 2 as digit union all select 3 as digit union all select 4 as digit union all select 5 as digit union all select 6 as digit union all select 7 as digit union all select 8 as digit union all select 9 as digit) as digits_1 on hop + digit * 1 <= further
  ) as counted
  ) as lasted
) as parts
    cross join (select 1 as step union all select -1) as steps
    where part_from < part_to
  ) as instants
) as swept
group by 1, 2
limit 1000001
