select
  date_trunc('quarter', ended_at) as "time",
  count(distinct coalesce(person, "user")) as users
from query
where ended_at >= timestamp '2026-01-01 00:00:00.000000'
  and ended_at < timestamp '2027-01-01 00:00:00.000000'
  and counted
group by 1
limit 1000001
