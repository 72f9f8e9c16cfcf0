-- touching_1: the query reads a table
-- touching_2: the query reads a table of which touch_table = 'a'
-- touching_3: the query writes a table
-- touching_4: the query touches a table of which touch_table like '%x'
select
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and (touching_1 and not touching_2)
  and touching_3
  and not touching_4
  and counted
