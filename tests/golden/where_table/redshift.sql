select
  count(*) as queries
from (
  select
    cast('redshift' as varchar) as warehouse,
    cast(h.query_id as varchar) as query_id,
    cast(h.transaction_id as varchar) as transaction_id,
    h.start_time as started_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then nullif(h.end_time, timestamp '2000-01-01 00:00:00') end as ended_at,
    (lower(rtrim(h.query_type)) not in ('utility', 'command') and h.query_text not like '/* {"app":"lakeapm"%') as counted
  from sys_query_history as h
  where h.user_id > 1 /* others are the system's own */
    and h.start_time >= timestamp '2026-11-18 12:00:00.000000' and h.start_time < timestamp '2026-11-20 12:00:00.000000'
    and h.end_time >= timestamp '2026-11-19 12:00:00.000000' and h.end_time < timestamp '2026-11-20 12:00:00.000000'
) as query
left join (select distinct touch_query as use_a_query, touch_started as use_a_started, touch_warehouse as use_a_warehouse, touch_transaction as use_a_transaction from (select distinct warehouse as touch_warehouse, coalesce(transaction_id, '') as touch_transaction, query_id as touch_query, started_at as touch_started, "table" as touch_table from (   select     cast('redshift' as varchar) as warehouse, cast(h.transaction_id as varchar) as transaction_id, cast(h.query_id as varchar) as query_id,     h.start_time as started_at, h.end_time as ended_at,     regexp_replace(rtrim(d.table_name), '__dbt_(tmp|backup)[0-9]*$', '') as "table", d.written = 1 as write, d.rows_touched as rows, cast(null as bigint) as bytes,     case when rtrim(h.status) <> 'success' then false end as committed   from (     select query_id, table_name, case when step_name = 'scan' then 0 else 1 end as written,       greatest(sum(case when step_name <> 'delete' then output_rows else 0 end), sum(case when step_name = 'delete' then output_rows else 0 end)) as rows_touched     from sys_query_detail     where start_time >= timestamp '2026-11-18 12:00:00.000000' and step_id >= 0 and table_id > 0 and step_name in ('scan', 'insert', 'delete')     group by 1, 2, 3   ) as d   join sys_query_history as h on h.query_id = d.query_id   where h.user_id > 1 /* others are the system's own */     and h.start_time >= timestamp '2026-11-18 12:00:00.000000' and h.start_time < timestamp '2026-11-20 12:00:00.000000'     and h.end_time >= timestamp '2026-11-19 12:00:00.000000' and h.end_time < timestamp '2026-11-20 12:00:00.000000' ) as touch where ended_at >= timestamp '2026-11-19 12:00:00.000000' and ended_at < timestamp '2026-11-20 12:00:00.000000') as touches where touch_table = 'db.public.orders') as use_as on use_a_query = query_id and use_a_started = started_at and use_a_warehouse = warehouse and use_a_transaction = coalesce(transaction_id, '')
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and use_a_query is not null
  and counted
