select
  date_trunc('day', ended_at) as "time",
  app,
  count(case when status = 'failed' then 1 end) as errors
from query
where ended_at >= timestamp '2026-11-19 00:00:00.000000'
  and ended_at < timestamp '2026-11-21 00:00:00.000000'
  and counted
group by 1, 2
limit 1000001
