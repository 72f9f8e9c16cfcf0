select
  reads,
  sum(datediff('microsecond', part_from, part_to)) / 1000000.0::float8 as concurrency
from (
  select reads, ended_at, queue_us, started_at, part_at, part_start, part_end, greatest(lasts_from, part_start) as part_from, least(lasts_to, part_end) as part_to
  from (
    select reads, ended_at, queue_us, started_at, least(started_at + greatest(coalesce(queue_us, 0), 0) * interval '1 microsecond', greatest(coalesce(ended_at, timestamp '2026-11-20 12:00:00.000000'), started_at)) as lasts_from, greatest(coalesce(ended_at, timestamp '2026-11-20 12:00:00.000000'), started_at) as lasts_to from (
    select
      read_table as reads,
      ended_at,
      queue_us,
      started_at
    from (
  select
    cast('redshift' as varchar) as warehouse,
    cast(h.query_id as varchar) as query_id,
    cast(h.transaction_id as varchar) as transaction_id,
    h.start_time as started_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then nullif(h.end_time, timestamp '2000-01-01 00:00:00') end as ended_at,
    h.queue_time as queue_us
  from sys_query_history as h
  where h.user_id > 1 /* others are the system's own */
    and h.start_time >= timestamp '2026-11-18 12:00:00.000000' and h.start_time < timestamp '2026-11-20 12:00:00.000000'
    and (h.end_time >= timestamp '2026-11-19 12:00:00.000000' or rtrim(h.status) in ('planning', 'queued', 'running', 'returning'))
) as query
    left join (
      select distinct warehouse as read_warehouse, coalesce(transaction_id, '') as read_transaction, query_id as read_query, started_at as read_started, "table" as read_table
      from (
  select
    cast('redshift' as varchar) as warehouse, cast(h.transaction_id as varchar) as transaction_id, cast(h.query_id as varchar) as query_id,
    h.start_time as started_at, h.end_time as ended_at,
    regexp_replace(rtrim(d.table_name), '__dbt_(tmp|backup)[0-9]*$', '') as "table", d.written = 1 as write, d.rows_touched as rows, cast(null as bigint) as bytes,
    case when rtrim(h.status) <> 'success' then false end as committed
  from (
    select query_id, table_name, case when step_name = 'scan' then 0 else 1 end as written,
      greatest(sum(case when step_name <> 'delete' then output_rows else 0 end), sum(case when step_name = 'delete' then output_rows else 0 end)) as rows_touched
    from sys_query_detail
    where start_time >= timestamp '2026-11-18 12:00:00.000000' and step_id >= 0 and table_id > 0 and step_name in ('scan', 'insert', 'delete')
    group by 1, 2, 3
  ) as d
  join sys_query_history as h on h.query_id = d.query_id
  where h.user_id > 1 /* others are the system's own */
    and h.start_time >= timestamp '2026-11-18 12:00:00.000000' and h.start_time < timestamp '2026-11-20 12:00:00.000000'
    and (h.end_time >= timestamp '2026-11-19 12:00:00.000000' or rtrim(h.status) in ('planning', 'queued', 'running', 'returning'))
) as touch
      where ended_at >= timestamp '2026-11-19 12:00:00.000000' and not write
    ) as reads on read_query = query_id and read_started = started_at and read_warehouse = warehouse and read_transaction = coalesce(transaction_id, '')
    where started_at < timestamp '2026-11-20 12:00:00.000000'
      and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
    ) as lasting
  ) as lasted
  join (
    select timestamp '2026-11-19 12:00:00.000000' as part_at, timestamp '2026-11-19 12:00:00.000000' as part_start, timestamp '2026-11-20 12:00:00.000000' as part_end
  ) as buckets on lasts_from < part_end and lasts_to > part_start and lasts_from < lasts_to
) as parts
group by 1
order by 2 desc nulls last, 1 nulls last
limit 1000001
