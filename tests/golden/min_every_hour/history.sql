select
  date_bin(interval '3600000 milliseconds', ended_at) as "time",
  percentile_cont(elapsed_us, 0.95) / 1000000.0 as "p95 latency",
  count(*) as count_1
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
  and status = 'success'
group by 1
limit 1000001
