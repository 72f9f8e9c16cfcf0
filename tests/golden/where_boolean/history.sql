select
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and cache_hit = true
  and (text_truncated is null or text_truncated <> true)
  and counted
