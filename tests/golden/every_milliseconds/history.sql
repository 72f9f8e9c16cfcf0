select
  date_bin(interval '250 milliseconds', ended_at) as "time",
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-20 11:00:00.000000'
  and ended_at < timestamp '2026-11-20 11:00:01.000000'
  and counted
group by 1
limit 1000001
