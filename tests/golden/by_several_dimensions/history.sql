select
  app,
  status,
  "annotation.owner" as key_3,
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
group by 1, 2, 3
order by 4 desc nulls last, 1 nulls last, 2 nulls last, 3 nulls last
limit 1000001
