select
  date_trunc('day', ended_at + interval '19800 seconds') as "time",
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-18 18:30:00.000000'
  and ended_at < timestamp '2026-11-20 18:30:00.000000'
  and counted
group by 1
limit 1000001
