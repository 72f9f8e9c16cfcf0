select
  dag,
  case when max(case when section = 1 then 1 end) = 1 then max(runs) else 0 end as runs,
  case when max(case when section = 2 then 1 end) = 1 then max(queries) else 0 end as queries,
  max(run_time) as run_time
from (
  select
    dag,
    count(*) as runs,
    cast(null as bigint) as queries,
    avg(cast((cast(ended_at as bigint) - cast(started_at as bigint)) as double)) / 1000000.0 as run_time,
    1 as section
  from (
    select max(case when begins = 1 then first_1 end) as dag, min(started_at) as started_at, max(ended_at) as ended_at, (cast(max(ended_at) as bigint) - cast(min(started_at) as bigint)) as run_us, sum(elapsed_us) as busy_us, count(*) as queries, sum(failed) as errors
    from (
      select *, sum(begins) over (partition by warehouse, entity, run, who order by started_at, ended_at, query_id rows between unbounded preceding and current row) as nth
      from (
        select warehouse, entity, run, who, started_at, ended_at, query_id, elapsed_us, failed, kept, first_1, case when last_end is null or started_at >= case when run is null then last_end + interval '600 seconds' else last_end + interval '86400 seconds' end then 1 else 0 end as begins
        from (
          select warehouse, dag as entity, run, case when run is null then coalesce(person, "user") end as who, started_at, ended_at, query_id, elapsed_us, case when status = 'failed' then 1 else 0 end as failed, 1 as kept, dag as first_1, max(ended_at) over (partition by warehouse, dag, run, case when run is null then coalesce(person, "user") end order by started_at, ended_at, query_id rows between unbounded preceding and 1 preceding) as last_end
          from query
          where ended_at >= timestamp '2026-11-18 12:00:00.000000' and ended_at < timestamp '2026-11-21 12:00:00.000000' and dag is not null and counted
        ) as marked
      ) as begun
    ) as numbered
    group by warehouse, entity, run, who, nth
    having max(ended_at) >= timestamp '2026-11-19 12:00:00.000000' and max(ended_at) < timestamp '2026-11-20 12:00:00.000000' and max(kept) = 1
  ) as runs
  group by 1
  union all
  select
    dag,
    cast(null as bigint) as runs,
    count(*) as queries,
    cast(null as double) as run_time,
    2 as section
  from query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
  group by 1
) as sections
group by 1
order by 2 desc nulls last, 1 nulls last
limit 1000001
