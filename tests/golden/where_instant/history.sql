select
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and started_at >= timestamp '2026-11-20 11:00:00.000000'
  and started_at < timestamp '2026-11-20 11:59:59.123456'
  and counted
