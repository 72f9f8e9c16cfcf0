select
  case when ended_at < timestamp '2026-10-25 01:00:00.000000' then date_trunc('day', ended_at + interval '7200 seconds') else date_trunc('day', ended_at + interval '3600 seconds') end as "time",
  app,
  count(*) as queries
from query
where ended_at >= timestamp '2026-10-23 22:00:00.000000'
  and ended_at < timestamp '2026-10-26 23:00:00.000000'
  and counted
group by 1, 2
limit 1000001
