select
  date_bin(interval '3600000 milliseconds', ended_at) as "time",
  app,
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
group by 1, 2
limit 1000001
