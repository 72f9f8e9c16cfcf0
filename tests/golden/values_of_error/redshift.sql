select
  error_group as error,
  count(*) as queries
from (
  select
    nullif(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(rtrim(h.error_message), '"[^"]*"', '"?"'), '''[^'']*''', '''?'''), '[A-Za-z_]*[0-9][A-Za-z0-9_]*', '?'), '[?]([-.:,][?])+', '?'), '[ \n\r\t]+', ' '), '') as error_group,
    h.start_time as started_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then nullif(h.end_time, timestamp '2000-01-01 00:00:00') end as ended_at,
    (lower(rtrim(h.query_type)) not in ('utility', 'command') and h.query_text not like '/* {"app":"lakeapm"%') as counted
  from sys_query_history as h
  where h.user_id > 1 /* others are the system's own */
    and h.start_time >= timestamp '2026-11-18 12:00:00.000000' and h.start_time < timestamp '2026-11-20 12:00:00.000000'
    and h.end_time >= timestamp '2026-11-19 12:00:00.000000' and h.end_time < timestamp '2026-11-20 12:00:00.000000'
) as query
where ended_at >= timestamp '2026-11-19 12:00:00.000000'
  and ended_at < timestamp '2026-11-20 12:00:00.000000'
  and counted
group by 1
order by 2 desc, 1 nulls last
limit 1001
