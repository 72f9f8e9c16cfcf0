select
  dag,
  cast(count(case when (status = 'success' and elapsed_us <= 30000000) then 1 end) as double) / nullif(count(*), 0) as "attainment within 30s"
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
  and status in ('success', 'failed', 'aborted')
group by 1
order by 2 desc nulls last, 1 nulls last
limit 1000001
