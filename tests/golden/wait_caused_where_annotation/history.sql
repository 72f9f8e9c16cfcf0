select
  key_1,
  sum(caused_us) / 1000000.0 as wait_caused
from (
  select key_1, caused(warehouse, queue, part_from, part_to, started_at, last_at, queue_us) as caused_us
  from (
  select key_1, ended_at, last_at, queue, queue_us, started_at, warehouse, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
  from (
    select key_1, ended_at, last_at, queue, queue_us, started_at, warehouse, unnest(whole('active', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
    select
      "annotation.owner" as key_1,
      ended_at,
      last_at,
      queue,
      queue_us,
      started_at,
      warehouse
    from query
    where started_at < timestamp '2026-11-20 12:00:00.000000'
      and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
      and queue = 'etl'
    ) as lasting
  ) as cut
) as parts
  union all
  select "annotation.owner" as key_1, caused_us
  from nobody
  where queue = 'etl'
) as shares
group by 1
order by 2 desc nulls last, 1 nulls last
limit 1000001
