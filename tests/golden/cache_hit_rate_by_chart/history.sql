select
  chart,
  cast(count(case when cache_hit then 1 end) as double) / nullif(count(*), 0) as cache_hit_rate
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
  and cache_hit is not null
group by 1
order by 2 desc nulls last, 1 nulls last
limit 1000001
