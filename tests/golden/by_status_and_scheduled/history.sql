select
  status,
  scheduled,
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
group by 1, 2
order by 3 desc nulls last, 1 nulls last, 2 nulls last
limit 1000001
