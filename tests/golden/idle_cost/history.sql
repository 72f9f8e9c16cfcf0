select
  sum(idle_usd) as idle_cost
from idle
where at >= timestamp '2026-11-19 12:00:00.000000'
  and at < timestamp '2026-11-20 12:00:00.000000'
