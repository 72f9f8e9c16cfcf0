with grouped as (
  select
    dag,
    task,
    percentile_cont(elapsed_us, 0.95) / 1000000.0 as "p95 latency"
  from query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
    and status = 'success'
  group by 1, 2
), ranked as (
  select *, row_number() over (order by "p95 latency" asc nulls last, dag nulls last, task nulls last) as place, count(*) over () as group_count
  from grouped
), series as (
  select
    date_bin(interval '3600000 milliseconds', ended_at) as "time",
    dag,
    task,
    percentile_cont(elapsed_us, 0.95) / 1000000.0 as "p95 latency"
  from query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
    and status = 'success'
  group by 1, 2, 3
)
select
  series."time" as "time",
  case when place <= 2 then place else 3 end as place,
  max(series.dag) as dag,
  max(series.task) as task,
  max(case when place <= 2 then series."p95 latency" end) as "p95 latency",
  max(group_count) as group_count
from series
join ranked on coalesce(series.dag, '') = coalesce(ranked.dag, '') and coalesce(series.task, '') = coalesce(ranked.task, '')
group by 1, 2
limit 1000001
