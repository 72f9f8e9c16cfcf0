select
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and exists (select 1 from (select distinct warehouse as touch_warehouse, coalesce(transaction_id, '') as touch_transaction, query_id as touch_query, started_at as touch_started, "table" as touch_table from touch where ended_at >= timestamp '2026-11-19 12:00:00.000000' and ended_at < timestamp '2026-11-20 12:00:00.000000') as touches where touch_query = query_id and touch_started = started_at and touch_warehouse = warehouse and touch_transaction = coalesce(transaction_id, '') and touch_table = 'db.public.orders')
  and counted
