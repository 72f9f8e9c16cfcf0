with grouped as (
  select
    app,
    count(*) as queries
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
  case when place <= 3 then place else 4 end as place,
  max(app) as app,
  sum(queries) as queries,
  max(group_count) as group_count
from ranked
group by 1
order by 1
