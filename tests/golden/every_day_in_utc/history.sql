select
  date_trunc('day', ended_at) as "time",
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-01 00:00:00.000000'
  and ended_at < timestamp '2026-11-08 00:00:00.000000'
  and counted
group by 1
limit 1000001
