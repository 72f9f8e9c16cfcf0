select
  part_at as "time",
  queue,
  peak(part_from, part_to) as "max concurrency"
from (
  select queue, ended_at, queue_us, started_at, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
  from (
    select queue, ended_at, queue_us, started_at, unnest(cut('active', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
    select
      queue,
      ended_at,
      queue_us,
      started_at
    from query
    where started_at < timestamp '2026-11-20 12:00:00.000000'
      and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
    ) as lasting
  ) as cut
) as parts
group by 1, 2
limit 1000001
