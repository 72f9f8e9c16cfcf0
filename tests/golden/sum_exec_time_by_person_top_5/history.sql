with grouped as (
  select
    person,
    sum(exec_us) / 1000000.0 as "sum exec_time"
  from query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
    and status = 'success'
  group by 1
), ranked as (
  select *, row_number() over (order by "sum exec_time" desc nulls last, person nulls last) as place, count(*) over () as group_count
  from grouped
)
select
  case when place <= 5 then place else 6 end as place,
  max(person) as person,
  max(case when place <= 5 then "sum exec_time" end) as "sum exec_time",
  max(group_count) as group_count
from ranked
group by 1
order by 1
