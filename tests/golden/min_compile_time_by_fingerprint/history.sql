select
  fingerprint,
  min(compile_us) / 1000000.0 as "min compile_time"
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
  and status = 'success'
group by 1
order by 2 desc nulls last, 1 nulls last
limit 1000001
