with grouped as (
  select
    queue,
    case when max(case when section = 1 then 1 end) = 1 then max(queries) else 0 end as queries,
    case when max(case when section = 2 then 1 end) = 1 then max(concurrency) else 0 end as concurrency,
    case when max(case when section = 3 then 1 end) = 1 then max(cost) else 0 end as cost
  from (
    select
      queue,
      count(*) as queries,
      cast(null as double) as concurrency,
      cast(null as double) as cost,
      1 as section
    from query
    where ended_at >= timestamp '2026-11-19 12:00:00.000000'
      and ended_at < timestamp '2026-11-20 12:00:00.000000'
      and counted
    group by 1
    union all
    select
      queue,
      cast(null as bigint) as queries,
      sum((cast(part_to as bigint) - cast(part_from as bigint))) / 1000000.0 as concurrency,
      cast(null as double) as cost,
      2 as section
    from (
      select queue, ended_at, queue_us, started_at, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
      from (
        select queue, ended_at, queue_us, started_at, unnest(whole('active', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
        select
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
    group by 1
    union all
    select
      queue,
      cast(null as bigint) as queries,
      cast(null as double) as concurrency,
      sum(usd) as cost,
      3 as section
    from (
      select queue, usd(warehouse, part_from, part_to, started_at, last_at, queue_us, cache_hit, weight_exec_us, weight_rows_read, weight_bytes_read, weight_cpu_us, weight_memory_bytes) as usd
      from (
      select queue, cache_hit, ended_at, last_at, queue_us, started_at, warehouse, weight_bytes_read, weight_cpu_us, weight_exec_us, weight_memory_bytes, weight_rows_read, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
      from (
        select queue, cache_hit, ended_at, last_at, queue_us, started_at, warehouse, weight_bytes_read, weight_cpu_us, weight_exec_us, weight_memory_bytes, weight_rows_read, unnest(whole('billed', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
        select
          queue,
          cache_hit,
          ended_at,
          last_at,
          queue_us,
          started_at,
          warehouse,
          weight_bytes_read,
          weight_cpu_us,
          weight_exec_us,
          weight_memory_bytes,
          weight_rows_read
        from query
        where (started_at < timestamp '2026-11-20 12:00:00.000000' or ended_at < timestamp '2026-11-20 12:00:00.000000')
          and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
        ) as lasting
      ) as cut
    ) as parts
    ) as shares
    group by 1
  ) as sections
  group by 1
), ranked as (
  select *, row_number() over (order by queries desc nulls last, queue nulls last) as place, count(*) over () as group_count
  from grouped
), series as (
  select
    "time",
    queue,
    case when max(case when section = 1 then 1 end) = 1 then max(queries) else 0 end as queries,
    case when max(case when section = 2 then 1 end) = 1 then max(concurrency) else 0 end as concurrency,
    case when max(case when section = 3 then 1 end) = 1 then max(cost) else 0 end as cost
  from (
    select
      date_bin(interval '3600000 milliseconds', ended_at) as "time",
      queue,
      count(*) as queries,
      cast(null as double) as concurrency,
      cast(null as double) as cost,
      1 as section
    from query
    where ended_at >= timestamp '2026-11-19 12:00:00.000000'
      and ended_at < timestamp '2026-11-20 12:00:00.000000'
      and counted
    group by 1, 2
    union all
    select
      part_at as "time",
      queue,
      cast(null as bigint) as queries,
      sum((cast(part_to as bigint) - cast(part_from as bigint))) / 1000000.0 as concurrency,
      cast(null as double) as cost,
      2 as section
    from (
      select queue, ended_at, queue_us, started_at, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
      from (
        select queue, ended_at, queue_us, started_at, unnest(cut('active', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
        select
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
      part_at as "time",
      queue,
      cast(null as bigint) as queries,
      cast(null as double) as concurrency,
      sum(usd) as cost,
      3 as section
    from (
      select queue, part_at, usd(warehouse, part_from, part_to, started_at, last_at, queue_us, cache_hit, weight_exec_us, weight_rows_read, weight_bytes_read, weight_cpu_us, weight_memory_bytes) as usd
      from (
      select queue, cache_hit, ended_at, last_at, queue_us, started_at, warehouse, weight_bytes_read, weight_cpu_us, weight_exec_us, weight_memory_bytes, weight_rows_read, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
      from (
        select queue, cache_hit, ended_at, last_at, queue_us, started_at, warehouse, weight_bytes_read, weight_cpu_us, weight_exec_us, weight_memory_bytes, weight_rows_read, unnest(cut('billed', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
        select
          queue,
          cache_hit,
          ended_at,
          last_at,
          queue_us,
          started_at,
          warehouse,
          weight_bytes_read,
          weight_cpu_us,
          weight_exec_us,
          weight_memory_bytes,
          weight_rows_read
        from query
        where (started_at < timestamp '2026-11-20 12:00:00.000000' or ended_at < timestamp '2026-11-20 12:00:00.000000')
          and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
        ) as lasting
      ) as cut
    ) as parts
    ) as shares
    group by 1, 2
  ) as sections
  group by 1, 2
)
select
  series."time" as "time",
  case when place <= 2 then place else 3 end as place,
  max(series.queue) as queue,
  sum(series.queries) as queries,
  sum(series.concurrency) as concurrency,
  sum(series.cost) as cost,
  max(group_count) as group_count
from series
join ranked on coalesce(series.queue, '') = coalesce(ranked.queue, '')
group by 1, 2
limit 1000001
