select
  date_trunc('week', ended_at) as "time",
  cast(count(case when status = 'failed' then 1 end) as double) / nullif(count(*), 0) as error_rate
from query
where ended_at >= timestamp '2026-11-02 00:00:00.000000'
  and ended_at < timestamp '2026-11-23 00:00:00.000000'
  and counted
  and status in ('success', 'failed', 'aborted')
group by 1
limit 1000001
