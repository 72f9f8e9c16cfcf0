select
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and (dag is null or dag <> 'a')
  and dag = 'b'
  and (elapsed_us is null or elapsed_us >= 1000000)
  and (elapsed_us is null or elapsed_us > 1000000)
  and (elapsed_us is null or elapsed_us <= 1000000)
  and (elapsed_us is null or elapsed_us < 1000000)
  and 1 = 0
  and (dag is null or not (dag like 'a%'))
  and (dag is null or not (dag ~ '(?s)a'))
  and (elapsed_us is null or elapsed_us < 1000000 or elapsed_us > 2000000)
  and dag is not null
  and counted
