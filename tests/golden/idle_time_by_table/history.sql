with grouped as (
  select
    "table",
    max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then (cast(part_end as bigint) - cast(at as bigint)) end) / 1000000.0 as idle_time,
    max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end) and least) then 1 else 0 end) as least_1
  from (
    select warehouse, "table", at, until, least, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
    from (
      select warehouse, "table", at, until, least, unnest(whole('whole', at, 0, until, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
      select warehouse, "table", coalesce(used, first_seen) as at, used is null as least, case when 1 = 0 then used end as until
      from (
        select warehouse, "table", max(used) as used, min(min(seen)) over () as first_seen
        from (
          select warehouse, "table", max(case when not write and not builds then ended_at end) as used, min(ended_at) as seen
          from touch
          where ended_at >= timestamp '2026-08-21 12:00:00.000000' and ended_at < timestamp '2026-11-20 12:00:00.000000'
          group by warehouse, "table"
          union all
          select warehouse, "table", case when 1 = 0 then max(at) end, case when 1 = 0 then max(at) end
          from table_state
          where at >= timestamp '2026-08-21 12:00:00.000000' and at < timestamp '2026-11-20 12:00:00.000000'
          group by warehouse, "table"
        ) as known
        group by warehouse, "table"
      ) as known
      where coalesce(used, first_seen) is not null
      ) as lasting
    ) as cut
  ) as parts
  group by 1
), ranked as (
  select *, row_number() over (order by idle_time desc nulls last, "table" nulls last) as place, count(*) over () as group_count
  from grouped
)
select
  case when place <= 5 then place else 6 end as place,
  max("table") as "table",
  max(case when place <= 5 then idle_time end) as idle_time,
  max(least_1) as least_1,
  max(group_count) as group_count
from ranked
group by 1
order by 1
