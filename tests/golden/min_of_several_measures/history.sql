select
  dag,
  count(*) as queries,
  avg(cast(case when status = 'success' then elapsed_us end as double)) / 1000000.0 as latency,
  count(*) as count_1,
  count(case when status = 'success' then 1 end) as count_2
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
group by 1
order by 2 desc nulls last, 1 nulls last
limit 1000001
