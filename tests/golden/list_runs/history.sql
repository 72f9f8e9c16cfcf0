select
  started_at,
  ended_at,
  run,
  attempt,
  person,
  app,
  dag,
  task,
  "model",
  dashboard,
  run_us / 1000000.0 as run_time,
  busy_us / 1000000.0 as busy_time,
  queries,
  errors
from (
  select max(case when begins = 1 then first_1 end) as run, max(case when begins = 1 then first_2 end) as attempt, max(case when begins = 1 then first_3 end) as person, max(case when begins = 1 then first_4 end) as app, max(case when begins = 1 then first_5 end) as dag, max(case when begins = 1 then first_6 end) as task, max(case when begins = 1 then first_7 end) as "model", max(case when begins = 1 then first_8 end) as dashboard, min(started_at) as started_at, max(ended_at) as ended_at, (cast(max(ended_at) as bigint) - cast(min(started_at) as bigint)) as run_us, sum(elapsed_us) as busy_us, count(*) as queries, sum(failed) as errors
  from (
    select *, sum(begins) over (partition by warehouse, entity, run, who order by started_at, ended_at, query_id rows between unbounded preceding and current row) as nth
    from (
      select warehouse, entity, run, who, started_at, ended_at, query_id, elapsed_us, failed, kept, first_1, first_2, first_3, first_4, first_5, first_6, first_7, first_8, case when last_end is null or started_at >= case when run is null then last_end + interval '600 seconds' else last_end + interval '86400 seconds' end then 1 else 0 end as begins
      from (
        select warehouse, dag as entity, run, case when run is null then coalesce(person, "user") end as who, started_at, ended_at, query_id, elapsed_us, case when status = 'failed' then 1 else 0 end as failed, 1 as kept, run as first_1, attempt as first_2, person as first_3, app as first_4, dag as first_5, task as first_6, "model" as first_7, dashboard as first_8, max(ended_at) over (partition by warehouse, dag, run, case when run is null then coalesce(person, "user") end order by started_at, ended_at, query_id rows between unbounded preceding and 1 preceding) as last_end
        from query
        where ended_at >= timestamp '2026-11-18 12:00:00.000000' and ended_at < timestamp '2026-11-21 12:00:00.000000' and dag is not null and counted
      ) as marked
    ) as begun
  ) as numbered
  group by warehouse, entity, run, who, nth
  having max(ended_at) >= timestamp '2026-11-19 12:00:00.000000' and max(ended_at) < timestamp '2026-11-20 12:00:00.000000' and max(kept) = 1
) as runs
order by started_at desc nulls last, ended_at desc nulls last, dag asc nulls last, task asc nulls last, "model" asc nulls last, dashboard asc nulls last, run asc nulls last, person asc nulls last
limit 101
