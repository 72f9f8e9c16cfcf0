select
  started_at,
  ended_at,
  touch_table as "table",
  touch_access as access,
  touch_rows as rows,
  touch_bytes as bytes,
  touch_committed as committed,
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
  fingerprint
from (
  select *, touch['touch_table'] as touch_table, touch['touch_access'] as touch_access, touch['touch_rows'] as touch_rows, touch['touch_bytes'] as touch_bytes, touch['touch_committed'] as touch_committed
  from (select *, unnest(touches) as touch from query) as query
) as query
where started_at < timestamp '2026-11-20 12:00:00.000000'
  and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
  and ((touch_access is null or touch_access <> 'read') or (touch_table is null or touch_table <> 'db.public.orders'))
  and (touch_table is null or touch_table <> 'x')
  and (app is null or app <> 'lakeapm')
order by started_at desc nulls last, query_id desc nulls last, touch_table asc nulls last, touch_access asc nulls last
limit 101
