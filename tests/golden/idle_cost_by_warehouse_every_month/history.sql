select
  date_trunc('month', at) as "time",
  warehouse,
  sum(idle_usd) as idle_cost
from idle
where at >= timestamp '2026-11-01 00:00:00.000000'
  and at < timestamp '2026-12-01 00:00:00.000000'
group by 1, 2
limit 1000001
