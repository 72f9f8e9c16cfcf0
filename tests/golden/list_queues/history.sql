select
  warehouse,
  queue,
  case when max(case when section = 1 then 1 end) = 1 then max(queries) else 0 end as queries,
  case when max(case when section = 2 then 1 end) = 1 then max(concurrency) else 0 end as concurrency,
  max("max concurrency") as "max concurrency",
  case when max(case when section = 3 then 1 end) = 1 then max(queued) else 0 end as queued,
  max("max queued") as "max queued",
  max(queue_time) as queue_time,
  max("p95 queue_time") as "p95 queue_time",
  case when max(case when section = 4 then 1 end) = 1 then max(wait_caused) else 0 end as wait_caused
from (
  select
    warehouse,
    queue,
    count(*) as queries,
    cast(null as double) as concurrency,
    cast(null as bigint) as "max concurrency",
    cast(null as double) as queued,
    cast(null as bigint) as "max queued",
    avg(cast(case when status = 'success' then queue_us end as double)) / 1000000.0 as queue_time,
    percentile_cont(case when status = 'success' then queue_us end, 0.95) / 1000000.0 as "p95 queue_time",
    cast(null as double) as wait_caused,
    1 as section
  from query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
  group by 1, 2
  union all
  select
    warehouse,
    queue,
    cast(null as bigint) as queries,
    sum((cast(part_to as bigint) - cast(part_from as bigint))) / 1000000.0 as concurrency,
    peak(part_from, part_to) as "max concurrency",
    cast(null as double) as queued,
    cast(null as bigint) as "max queued",
    cast(null as double) as queue_time,
    cast(null as double) as "p95 queue_time",
    cast(null as double) as wait_caused,
    2 as section
  from (
    select warehouse, queue, ended_at, queue_us, started_at, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
    from (
      select warehouse, queue, ended_at, queue_us, started_at, unnest(whole('active', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
      select
        warehouse,
        queue,
        ended_at,
        queue_us,
        started_at
      from query
      where started_at < timestamp '2026-11-20 12:00:00.000000'
        and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
      ) as lasting
    ) as cut
  ) as parts
  group by 1, 2
  union all
  select
    warehouse,
    queue,
    cast(null as bigint) as queries,
    cast(null as double) as concurrency,
    cast(null as bigint) as "max concurrency",
    sum((cast(part_to as bigint) - cast(part_from as bigint))) / 1000000.0 as queued,
    peak(part_from, part_to) as "max queued",
    cast(null as double) as queue_time,
    cast(null as double) as "p95 queue_time",
    cast(null as double) as wait_caused,
    3 as section
  from (
    select warehouse, queue, ended_at, queue_us, started_at, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
    from (
      select warehouse, queue, ended_at, queue_us, started_at, unnest(whole('waiting', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
      select
        warehouse,
        queue,
        ended_at,
        queue_us,
        started_at
      from query
      where started_at < timestamp '2026-11-20 12:00:00.000000'
        and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
      ) as lasting
    ) as cut
  ) as parts
  group by 1, 2
  union all
  select
    warehouse,
    queue,
    cast(null as bigint) as queries,
    cast(null as double) as concurrency,
    cast(null as bigint) as "max concurrency",
    cast(null as double) as queued,
    cast(null as bigint) as "max queued",
    cast(null as double) as queue_time,
    cast(null as double) as "p95 queue_time",
    sum(caused_us) / 1000000.0 as wait_caused,
    4 as section
  from (
    select warehouse, queue, caused(warehouse, queue, part_from, part_to, started_at, last_at, queue_us) as caused_us
    from (
    select warehouse, queue, ended_at, last_at, queue_us, started_at, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
    from (
      select warehouse, queue, ended_at, last_at, queue_us, started_at, unnest(whole('active', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
      select
        warehouse,
        queue,
        ended_at,
        last_at,
        queue_us,
        started_at
      from query
      where started_at < timestamp '2026-11-20 12:00:00.000000'
        and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
      ) as lasting
    ) as cut
  ) as parts
    union all
    select warehouse, queue, caused_us
    from nobody
  ) as shares
  group by 1, 2
) as sections
group by 1, 2
order by 3 desc nulls last, 1 nulls last, 2 nulls last
limit 1000001
