select
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-12 23:00:00.000000'
  and ended_at < timestamp '2026-11-20 23:00:00.000000'
  and counted
