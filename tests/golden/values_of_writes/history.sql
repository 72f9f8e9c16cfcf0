select
  write_table as writes,
  count(*) as queries
from query
left join (
  select distinct warehouse as write_warehouse, coalesce(transaction_id, '') as write_transaction, query_id as write_query, started_at as write_started, "table" as write_table
  from touch
  where ended_at >= timestamp '2026-11-19 12:00:00.000000' and ended_at < timestamp '2026-11-20 12:00:00.000000' and write
) as writes on write_query = query_id and write_started = started_at and write_warehouse = warehouse and write_transaction = coalesce(transaction_id, '')
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
group by 1
order by 2 desc, 1 nulls last
limit 1001
