with grouped as (
  select
    app,
    count(*) as queries,
    percentile_cont(case when status = 'success' then elapsed_us end, 0.95) / 1000000.0 as "p95 latency"
  from query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
  group by 1
), ranked as (
  select *, row_number() over (order by queries desc nulls last, app nulls last) as place, count(*) over () as group_count
  from grouped
)
select
  case when place <= 2 then place else 3 end as place,
  max(app) as app,
  sum(queries) as queries,
  max(case when place <= 2 then "p95 latency" end) as "p95 latency",
  max(group_count) as group_count
from ranked
group by 1
order by 1
