select
  read_table as reads,
  count(*) as queries
from query
left join (
  select distinct warehouse as read_warehouse, coalesce(transaction_id, '') as read_transaction, query_id as read_query, started_at as read_started, "table" as read_table
  from touch
  where ended_at >= timestamp '2026-11-19 12:00:00.000000' and ended_at < timestamp '2026-11-20 12:00:00.000000' and not write
) as reads on read_query = query_id and read_started = started_at and read_warehouse = warehouse and read_transaction = coalesce(transaction_id, '')
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
group by 1
order by 2 desc nulls last, 1 nulls last
limit 1000001
