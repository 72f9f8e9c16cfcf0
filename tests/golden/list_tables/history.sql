select
  warehouse,
  "table",
  max(table_rows) as table_rows,
  max(table_size) as table_size,
  max(growth) as growth,
  max(skew) as skew,
  max(unsorted) as unsorted,
  max(stats_off) as stats_off,
  max(freshness) as freshness,
  max(idle_time) as idle_time,
  max(least_7) as least_7,
  max(least_8) as least_8
from (
  select
    warehouse,
    "table",
    sum(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then rows end) as table_rows,
    sum(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then bytes end) as table_size,
    case when count(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then rows end) > 0 then sum(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then rows else 0 end) - sum(case when (part_from = part_start and since < part_start) then rows else 0 end) end as growth,
    max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then skew end) as skew,
    max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then unsorted end) as unsorted,
    max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then stats_off end) as stats_off,
    cast(null as double) as freshness,
    cast(null as double) as idle_time,
    cast(null as bigint) as least_7,
    cast(null as bigint) as least_8,
    1 as section
  from (
    select warehouse, "table", at, rows, bytes, skew, unsorted, stats_off, until, since, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
    from (
      select warehouse, "table", at, rows, bytes, skew, unsorted, stats_off, until, since, unnest(whole('whole', since, 0, until + interval '1 microseconds', timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
      select warehouse, "table", at, rows, bytes, skew, unsorted, stats_off, until, since
      from table_state
      join (
        select warehouse as look_warehouse, at as look_at, lead(at) over (partition by warehouse order by at) as until,
          case when row_number() over (partition by warehouse order by at) = 1 then timestamp '2026-11-10 12:00:00.000000' else at end as since
        from (select distinct warehouse, at from table_state where at >= timestamp '2026-11-11 12:00:00.000000' and at < timestamp '2026-11-20 12:00:00.000000') as looks
      ) as looked on look_warehouse = warehouse and look_at = at
      where at >= timestamp '2026-11-11 12:00:00.000000' and at < timestamp '2026-11-20 12:00:00.000000'
      ) as lasting
    ) as cut
  ) as parts
  group by 1, 2
  union all
  select
    warehouse,
    "table",
    cast(null as bigint) as table_rows,
    cast(null as bigint) as table_size,
    cast(null as bigint) as growth,
    cast(null as double) as skew,
    cast(null as double) as unsorted,
    cast(null as double) as stats_off,
    max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then (cast(part_end as bigint) - cast(at as bigint)) end) / 1000000.0 as freshness,
    cast(null as double) as idle_time,
    max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end) and least) then 1 else 0 end) as least_7,
    cast(null as bigint) as least_8,
    2 as section
  from (
    select warehouse, "table", at, until, least, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
    from (
      select warehouse, "table", at, until, least, unnest(whole('whole', at, 0, until, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
      select warehouse, "table", coalesce(used, first_seen) as at, used is null as least, case when 1 = 0 then used end as until
      from (
        select warehouse, "table", max(used) as used, min(min(seen)) over () as first_seen
        from (
          select warehouse, "table", max(case when write and committed and (rows is null or rows > 0) then ended_at end) as used, min(ended_at) as seen
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
  group by 1, 2
  union all
  select
    warehouse,
    "table",
    cast(null as bigint) as table_rows,
    cast(null as bigint) as table_size,
    cast(null as bigint) as growth,
    cast(null as double) as skew,
    cast(null as double) as unsorted,
    cast(null as double) as stats_off,
    cast(null as double) as freshness,
    max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then (cast(part_end as bigint) - cast(at as bigint)) end) / 1000000.0 as idle_time,
    cast(null as bigint) as least_7,
    max(case when (part_to = part_end and at < part_end and (until is null or until >= part_end) and least) then 1 else 0 end) as least_8,
    3 as section
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
  group by 1, 2
) as sections
group by 1, 2
order by 3 desc nulls last, 1 nulls last, 2 nulls last
limit 1000001
