select
  percentile_cont(elapsed_us, 0.95) / 1000000.0 as "p95 latency"
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and status = 'failed'
  and counted
