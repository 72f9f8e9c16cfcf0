with grouped as (
  select
    dashboard,
    person,
    percentile_cont(busy_us, 0.95) / 1000000.0 as "p95 busy_time",
    sum(queries) as count_1
  from (
    select max(case when begins = 1 then first_1 end) as dashboard, max(case when begins = 1 then first_2 end) as person, min(started_at) as started_at, max(ended_at) as ended_at, (cast(max(ended_at) as bigint) - cast(min(started_at) as bigint)) as run_us, sum(elapsed_us) as busy_us, count(*) as queries, sum(failed) as errors
    from (
      select *, sum(begins) over (partition by warehouse, entity, run, who order by started_at, ended_at, query_id rows between unbounded preceding and current row) as nth
      from (
        select warehouse, entity, run, who, started_at, ended_at, query_id, elapsed_us, failed, kept, first_1, first_2, case when last_end is null or started_at >= case when run is null then last_end + interval '60 seconds' else last_end + interval '86400 seconds' end then 1 else 0 end as begins
        from (
          select warehouse, dashboard as entity, run, case when run is null then coalesce(person, "user") end as who, started_at, ended_at, query_id, elapsed_us, case when status = 'failed' then 1 else 0 end as failed, 1 as kept, dashboard as first_1, person as first_2, max(ended_at) over (partition by warehouse, dashboard, run, case when run is null then coalesce(person, "user") end order by started_at, ended_at, query_id rows between unbounded preceding and 1 preceding) as last_end
          from query
          where ended_at >= timestamp '2026-11-18 12:00:00.000000' and ended_at < timestamp '2026-11-21 12:00:00.000000' and dashboard is not null and counted
        ) as marked
      ) as begun
    ) as numbered
    group by warehouse, entity, run, who, nth
    having max(ended_at) >= timestamp '2026-11-19 12:00:00.000000' and max(ended_at) < timestamp '2026-11-20 12:00:00.000000' and max(kept) = 1
  ) as runs
  group by 1, 2
), ranked as (
  select *, row_number() over (order by case when count_1 >= 3 then "p95 busy_time" end desc nulls last, dashboard nulls last, person nulls last) as place, count(*) over () as group_count
  from grouped
)
select
  case when place <= 5 then place else 6 end as place,
  max(dashboard) as dashboard,
  max(person) as person,
  max(case when place <= 5 then "p95 busy_time" end) as "p95 busy_time",
  sum(count_1) as count_1,
  max(group_count) as group_count
from ranked
group by 1
order by 1
