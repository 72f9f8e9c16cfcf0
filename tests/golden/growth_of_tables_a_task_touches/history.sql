with grouped as (
  select
    "table",
    case when count(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then rows end) > 0 then sum(case when (part_to = part_end and at < part_end and (until is null or until >= part_end)) then rows else 0 end) - sum(case when (part_from = part_start and since < part_start) then rows else 0 end) end as growth
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
      join (
        select distinct
          warehouse as used_warehouse,
          touch_table as used_table
        from (select *, unnest(touch_tables) as touch_table from query) as query
        where ended_at >= timestamp '2026-11-19 12:00:00.000000'
          and ended_at < timestamp '2026-11-20 12:00:00.000000'
          and task = 'margin/prices'
          and counted
          and touch_table is not null
      ) as used on used_warehouse = warehouse and used_table = "table"
      where at >= timestamp '2026-11-11 12:00:00.000000' and at < timestamp '2026-11-20 12:00:00.000000' and warehouse = 'w'
      ) as lasting
    ) as cut
  ) as parts
  group by 1
), ranked as (
  select *, row_number() over (order by growth desc nulls last, "table" nulls last) as place, count(*) over () as group_count
  from grouped
)
select
  case when place <= 5 then place else 6 end as place,
  max("table") as "table",
  max(case when place <= 5 then growth end) as growth,
  max(group_count) as group_count
from ranked
group by 1
order by 1
