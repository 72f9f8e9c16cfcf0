select
  max(case when part_to = part_end then (cast(part_end as bigint) - cast(started_at as bigint)) end) / 1000000.0 as age
from (
  select ended_at, queue_us, started_at, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
  from (
    select ended_at, queue_us, started_at, unnest(whole('whole', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
    select
      ended_at,
      queue_us,
      started_at
    from query
    where started_at < timestamp '2026-11-20 12:00:00.000000'
      and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
    ) as lasting
  ) as cut
) as parts
