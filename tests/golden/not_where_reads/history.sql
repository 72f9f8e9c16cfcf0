select
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and (touching_1 and not touching_2)
  and touching_3
  and not touching_4
  and counted
