select
  part_at as "time",
  person,
  max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then (cast(part_end as bigint) - cast(at as bigint)) end) / 1000000.0 as idle_time,
  max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end) and least) then 1 else 0 end) as least_1
from (
  select person, at, until, least, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
  from (
    select person, at, until, least, unnest(cut('whole', at, 0, until, timestamp '2026-11-19 00:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
    select person, at, 1 = 0 as least, lead(at) over (partition by person order by at) as until
    from (
      select
        person,
        max(ended_at) as at
      from query
      where ended_at >= timestamp '2026-08-21 00:00:00.000000'
        and ended_at < timestamp '2026-11-21 00:00:00.000000'
        and counted
      group by person, date_trunc('day', ended_at)
    ) as seen
    where at is not null
    ) as lasting
  ) as cut
) as parts
group by 1, 2
limit 1000001
