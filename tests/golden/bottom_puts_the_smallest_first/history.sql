with grouped as (
  select
    dag,
    avg(cast(elapsed_us as double)) / 1000000.0 as latency
  from query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
    and status = 'success'
  group by 1
), ranked as (
  select *, row_number() over (order by latency asc nulls last, dag nulls last) as place, count(*) over () as group_count
  from grouped
)
select
  case when place <= 2 then place else 3 end as place,
  max(dag) as dag,
  max(case when place <= 2 then latency end) as latency,
  max(group_count) as group_count
from ranked
group by 1
order by 1
