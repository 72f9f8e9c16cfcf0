-- touching_1: the query writes a table of which touch_table = 'db.public.orders'
with grouped as (
  select
    app,
    sum(usd) as cost
  from (
    select app, usd(warehouse, part_from, part_to, started_at, last_at, queue_us, cache_hit, weight_exec_us, weight_rows_read, weight_bytes_read, weight_cpu_us, weight_memory_bytes) as usd
    from (
    select app, cache_hit, ended_at, last_at, queue_us, started_at, warehouse, weight_bytes_read, weight_cpu_us, weight_exec_us, weight_memory_bytes, weight_rows_read, part['at'] as part_at, part['start'] as part_start, part['end'] as part_end, part['from'] as part_from, part['to'] as part_to
    from (
      select app, cache_hit, ended_at, last_at, queue_us, started_at, warehouse, weight_bytes_read, weight_cpu_us, weight_exec_us, weight_memory_bytes, weight_rows_read, unnest(whole('billed', started_at, queue_us, ended_at, timestamp '2026-11-19 12:00:00.000000', timestamp '2026-11-20 12:00:00.000000')) as part from (
      select
        app,
        cache_hit,
        ended_at,
        last_at,
        queue_us,
        started_at,
        warehouse,
        weight_bytes_read,
        weight_cpu_us,
        weight_exec_us,
        weight_memory_bytes,
        weight_rows_read
      from query
      where (started_at < timestamp '2026-11-20 12:00:00.000000' or ended_at < timestamp '2026-11-20 12:00:00.000000')
        and (ended_at >= timestamp '2026-11-19 12:00:00.000000' or ended_at is null)
        and touching_1
      ) as lasting
    ) as cut
  ) as parts
  ) as shares
  group by 1
), ranked as (
  select *, row_number() over (order by cost desc nulls last, app nulls last) as place, count(*) over () as group_count
  from grouped
)
select
  case when place <= 3 then place else 4 end as place,
  max(app) as app,
  sum(cost) as cost,
  max(group_count) as group_count
from ranked
group by 1
order by 1
