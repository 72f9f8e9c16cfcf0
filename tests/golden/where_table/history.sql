-- touching_1: the query touches a table of which touch_table = 'db.public.orders'
select
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and touching_1
  and counted
