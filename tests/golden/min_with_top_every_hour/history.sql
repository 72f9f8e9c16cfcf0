with grouped as (
  select
    app,
    count(*) as queries,
    count(*) as count_1
  from query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
  group by 1
), ranked as (
  select *, row_number() over (order by case when count_1 >= 5 then queries end desc nulls last, app nulls last) as place, count(*) over () as group_count
  from grouped
), series as (
  select
    date_bin(interval '3600000 milliseconds', ended_at) as "time",
    app,
    count(*) as queries,
    count(*) as count_1
  from query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
  group by 1, 2
)
select
  series."time" as "time",
  case when place <= 3 then place else 4 end as place,
  max(series.app) as app,
  sum(series.queries) as queries,
  sum(series.count_1) as count_1,
  max(group_count) as group_count
from series
join ranked on coalesce(series.app, '') = coalesce(ranked.app, '')
group by 1, 2
limit 1000001
