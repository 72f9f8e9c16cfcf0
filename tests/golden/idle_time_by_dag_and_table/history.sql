select
  dag,
  reads,
  max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then (cast(part_end as bigint) - cast(at as bigint)) end) / 1000000.0 as idle_time,
  max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end) and least) then 1 else 0 end) as least_1
from (
  select dag, reads, at, until, least, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
  from (
    select dag, reads, at, until, least, unnest(whole('whole', at, 0, until, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
    select dag, reads, at, 1 = 0 as least, lead(at) over (partition by dag, reads order by at) as until
    from (
      select
        dag,
        read_table as reads,
        max(ended_at) as at
      from (select *, unnest(read_tables) as read_table from query) as query
      where ended_at >= timestamp '2026-08-21 12:00:00.000000'
        and ended_at < timestamp '2026-11-20 12:00:00.000000'
        and counted
      group by dag, read_table
    ) as seen
    where at is not null
    ) as lasting
  ) as cut
) as parts
group by 1, 2
order by 3 desc nulls last, 1 nulls last, 2 nulls last
limit 1000001
