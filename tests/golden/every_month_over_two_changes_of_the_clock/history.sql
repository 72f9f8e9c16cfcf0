select
  case when ended_at < timestamp '2026-03-08 07:00:00.000000' then date_trunc('month', ended_at + interval '-18000 seconds') when ended_at < timestamp '2026-11-01 06:00:00.000000' then date_trunc('month', ended_at + interval '-14400 seconds') else date_trunc('month', ended_at + interval '-18000 seconds') end as "time",
  sum(bytes_read) as bytes_read
from query
where ended_at >= timestamp '2026-01-01 05:00:00.000000'
  and ended_at < timestamp '2027-01-01 05:00:00.000000'
  and counted
group by 1
limit 1000001
