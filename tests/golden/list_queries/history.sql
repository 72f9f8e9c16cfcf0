select
  started_at,
  ended_at,
  query_id,
  person,
  "user",
  app,
  dag,
  task,
  "model",
  dashboard,
  "statement",
  status,
  elapsed_us / 1000000.0 as latency,
  queue_us / 1000000.0 as queue_time,
  rows_read,
  bytes_read,
  error,
  fingerprint,
  "text"
from query
where started_at < timestamp '2026-11-20 12:00:00.000000'
  and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
  and (app is null or app <> 'lakeapm')
order by started_at desc nulls last, query_id desc nulls last
limit 101
