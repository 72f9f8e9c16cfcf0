with grouped as (
  select
    dashboard,
    cast(count(case when status = 'failed' then 1 end) as double) / nullif(count(*), 0) as error_rate,
    count(*) as count_1
  from query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
    and status in ('success', 'failed', 'aborted')
  group by 1
), ranked as (
  select *, row_number() over (order by case when count_1 >= 20 then error_rate end desc nulls last, dashboard nulls last) as place, count(*) over () as group_count
  from grouped
)
select
  case when place <= 5 then place else 6 end as place,
  max(dashboard) as dashboard,
  max(case when place <= 5 then error_rate end) as error_rate,
  sum(count_1) as count_1,
  max(group_count) as group_count
from ranked
group by 1
order by 1
