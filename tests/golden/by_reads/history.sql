select
  read_table as reads,
  count(*) as queries
from (select *, unnest(read_tables) as read_table from query) as query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
group by 1
order by 2 desc nulls last, 1 nulls last
limit 1000001
