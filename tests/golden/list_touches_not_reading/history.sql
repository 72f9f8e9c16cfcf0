select
  started_at,
  ended_at,
  touch_table as "table",
  touch_access as access,
  touch_rows as rows,
  touch_bytes as bytes,
  touch_committed as committed,
  query_id,
  person,
  "user",
  app,
  dag,
  task,
  "model",
  dashboard,
  "statement",
  status,
  fingerprint
from query
join (
  select warehouse as touch_warehouse, coalesce(transaction_id, '') as touch_transaction, query_id as touch_query, started_at as touch_started, "table" as touch_table, case when write then 'write' else 'read' end as touch_access, rows as touch_rows, bytes as touch_bytes, committed as touch_committed
  from touch
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
) as touchs on touch_query = query_id and touch_started = started_at and touch_warehouse = warehouse and touch_transaction = coalesce(transaction_id, '')
where started_at < timestamp '2026-11-20 12:00:00.000000'
  and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
  and ((touch_access is null or touch_access <> 'read') or (touch_table is null or touch_table <> 'db.public.orders'))
  and (touch_table is null or touch_table <> 'x')
  and (app is null or app <> 'lakeapm')
order by started_at desc nulls last, query_id desc nulls last, touch_table asc nulls last, touch_access asc nulls last
limit 101
