select
  dag,
  count(*) as queries,
  count(case when status = 'failed' then 1 end) as errors,
  percentile_cont(case when status = 'success' then elapsed_us end, 0.95) / 1000000.0 as "p95 latency",
  sum(case when status = 'success' then elapsed_us end) / 1000000.0 as "sum latency",
  cast(count(case when (status in ('success', 'failed', 'aborted') and status = 'failed') then 1 end) as double) / nullif(count(case when status in ('success', 'failed', 'aborted') then 1 end), 0) as error_rate,
  count(distinct coalesce(person, "user")) as users,
  sum(bytes_read) as bytes_read
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
group by 1
order by 2 desc nulls last, 1 nulls last
limit 1000001
