select
  avg(cast(elapsed_us as double)) / 1000000.0 as latency,
  count(case when status = 'failed' then 1 end) as errors
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and (app = 'dbt' or (status is null or status <> 'success'))
  and counted
