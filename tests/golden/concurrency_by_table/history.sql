select
  reads,
  sum((cast(part_to as bigint) - cast(part_from as bigint))) / 1000000.0 as concurrency
from (
  select reads, ended_at, queue_us, started_at, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
  from (
    select reads, ended_at, queue_us, started_at, unnest(whole('active', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
    select
      read_table as reads,
      ended_at,
      queue_us,
      started_at
    from (select *, unnest(read_tables) as read_table from query) as query
    where started_at < timestamp '2026-11-20 12:00:00.000000'
      and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
    ) as lasting
  ) as cut
) as parts
group by 1
order by 2 desc nulls last, 1 nulls last
limit 1000001
