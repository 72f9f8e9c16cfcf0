with grouped as (
  select
    client,
    percentile_cont(elapsed_us, 0.95) / 1000000.0 as "p95 latency"
  from query
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
