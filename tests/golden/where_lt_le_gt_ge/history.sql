select
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and elapsed_us < 5000000
  and queue_us <= 250000
  and rows_read > 1000
  and bytes_read >= 2000000000
  and counted
