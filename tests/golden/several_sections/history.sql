with grouped as (
  select
    dashboard,
    max("attainment within 30s") as "attainment within 30s",
    max("p95 latency") as "p95 latency",
    case when max(case when section = 1 then 1 end) = 1 then max(errors) else 0 end as errors,
    case when max(case when section = 2 then 1 end) = 1 then max(cost) else 0 end as cost,
    max(count_1) as count_1,
    max(count_2) as count_2,
    max(count_3) as count_3,
    max(count_4) as count_4
  from (
    select
      dashboard,
      cast(count(case when (status in ('success', 'failed', 'aborted') and status = 'success' and elapsed_us <= 30000000) then 1 end) as double) / nullif(count(case when status in ('success', 'failed', 'aborted') then 1 end), 0) as "attainment within 30s",
      percentile_cont(case when status = 'success' then elapsed_us end, 0.95) / 1000000.0 as "p95 latency",
      count(case when status = 'failed' then 1 end) as errors,
      cast(null as double) as cost,
      count(case when status in ('success', 'failed', 'aborted') then 1 end) as count_1,
      count(case when status = 'success' then 1 end) as count_2,
      count(*) as count_3,
      cast(null as bigint) as count_4,
      1 as section
    from query
    where ended_at >= timestamp '2026-11-19 12:00:00.000000'
      and ended_at < timestamp '2026-11-20 12:00:00.000000'
      and counted
    group by 1
    union all
    select
      dashboard,
      cast(null as double) as "attainment within 30s",
      cast(null as double) as "p95 latency",
      cast(null as bigint) as errors,
      sum(usd) as cost,
      cast(null as bigint) as count_1,
      cast(null as bigint) as count_2,
      cast(null as bigint) as count_3,
      count(*) as count_4,
      2 as section
    from (
      select dashboard, usd(warehouse, part_from, part_to, started_at, last_at, queue_us, cache_hit, weight_exec_us, weight_rows_read, weight_bytes_read, weight_cpu_us, weight_memory_bytes) as usd
      from (
      select dashboard, cache_hit, ended_at, last_at, queue_us, started_at, warehouse, weight_bytes_read, weight_cpu_us, weight_exec_us, weight_memory_bytes, weight_rows_read, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
      from (
        select dashboard, cache_hit, ended_at, last_at, queue_us, started_at, warehouse, weight_bytes_read, weight_cpu_us, weight_exec_us, weight_memory_bytes, weight_rows_read, unnest(whole('billed', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
        select
          dashboard,
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
  select *, row_number() over (order by case when count_1 >= 20 then "attainment within 30s" end desc nulls last, dashboard nulls last) as place, count(*) over () as group_count
  from grouped
)
select
  case when place <= 10 then place else 11 end as place,
  max(dashboard) as dashboard,
  max(case when place <= 10 then "attainment within 30s" end) as "attainment within 30s",
  max(case when place <= 10 then "p95 latency" end) as "p95 latency",
  sum(errors) as errors,
  sum(cost) as cost,
  sum(count_1) as count_1,
  sum(count_2) as count_2,
  sum(count_3) as count_3,
  sum(count_4) as count_4,
  max(group_count) as group_count
from ranked
group by 1
order by 1
