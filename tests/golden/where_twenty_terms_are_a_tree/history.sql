select
  count(*) as queries
from query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and ((dag = 'd0' or dag = 'd1' or dag = 'd2' or dag = 'd3' or dag = 'd4' or dag = 'd5' or dag = 'd6' or dag = 'd7' or dag = 'd8' or dag = 'd9') or (dag = 'd10' or dag = 'd11' or dag = 'd12' or dag = 'd13' or dag = 'd14' or dag = 'd15' or dag = 'd16' or dag = 'd17' or dag = 'd18' or dag = 'd19'))
  and counted
