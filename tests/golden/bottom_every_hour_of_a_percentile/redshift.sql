with grouped as (
  select
    dag,
    task,
    percentile_cont(0.95) within group (order by cast(elapsed_us as float8)) / 1000000.0::float8 as "p95 latency"
  from (
  select
    status,
    started_at,
    ended_at,
    elapsed_us,
    counted,
    case
      when form in ('intermix', 'json') then coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-dag', true)), ''))
      when form in ('dbt_query_tags', 'dbt') then coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), ''))
      when form in ('airflow', 'list') then coalesce(nullif(trim(regexp_substr(note, '[-*, ;]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), ''))
    end as dag,
    case
      when form in ('intermix', 'json') then case when coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-dag', true)), '')) is null or strpos(coalesce(nullif(trim(json_extract_path_text(object, 'task', true)), ''), nullif(trim(json_extract_path_text(object, 'task_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_task_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-task', true)), '')), coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-dag', true)), '')) || '/') = 1 then coalesce(nullif(trim(json_extract_path_text(object, 'task', true)), ''), nullif(trim(json_extract_path_text(object, 'task_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_task_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-task', true)), '')) else coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-dag', true)), '')) || '/' || coalesce(nullif(trim(json_extract_path_text(object, 'task', true)), ''), nullif(trim(json_extract_path_text(object, 'task_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_task_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-task', true)), '')) end
      when form in ('dbt_query_tags', 'dbt') then case when coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), '')) is null or strpos(coalesce(nullif(trim(json_extract_path_text(object, 'task', true)), ''), nullif(trim(json_extract_path_text(object, 'task_id', true)), '')), coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), '')) || '/') = 1 then coalesce(nullif(trim(json_extract_path_text(object, 'task', true)), ''), nullif(trim(json_extract_path_text(object, 'task_id', true)), '')) else coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), '')) || '/' || coalesce(nullif(trim(json_extract_path_text(object, 'task', true)), ''), nullif(trim(json_extract_path_text(object, 'task_id', true)), '')) end
      when form in ('airflow', 'list') then case when coalesce(nullif(trim(regexp_substr(note, '[-*, ;]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), '')) is null or strpos(coalesce(nullif(trim(regexp_substr(note, '[-*, ;]task[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]task_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_task_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]task[=:] *([^ ,;*]+)', 1, 1, 'e')), '')), coalesce(nullif(trim(regexp_substr(note, '[-*, ;]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), '')) || '/') = 1 then coalesce(nullif(trim(regexp_substr(note, '[-*, ;]task[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]task_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_task_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]task[=:] *([^ ,;*]+)', 1, 1, 'e')), '')) else coalesce(nullif(trim(regexp_substr(note, '[-*, ;]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), '')) || '/' || coalesce(nullif(trim(regexp_substr(note, '[-*, ;]task[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]task_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_task_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]task[=:] *([^ ,;*]+)', 1, 1, 'e')), '')) end
    end as task
  from (
  /* which tool signed it */
  select *, case when note is null then null
    when code <> '' and is_valid_json(object) then 'intermix'
    when bare and json_extract_path_text(object, 'dbt_query_tags_version', true) <> '' then 'dbt_query_tags'
    when bare and json_extract_path_text(object, 'app', true) = 'dbt' then 'dbt'
    when bare and json_extract_path_text(object, 'dbt_version', true) <> '' and (json_extract_path_text(object, 'node_id', true) <> '' or json_extract_path_text(object, 'profile_name', true) <> '' or json_extract_path_text(object, 'target_name', true) <> '') then 'dbt'
    when is_valid_json(object) and note ~ '^[ \n]*(--|/[*]) *(Looker )?Query Context *''?[{]' then 'looker'
    when is_valid_json(object) and note ~ '^[ \n]*-- */[*] *partner: "metabase", *[{]' then 'metabase_partner'
    when is_valid_json(object) and note ~ '^[ \n]*(--|/[*]) *('' *)?Query generated by Chartio:?[ \n]*[{](.|\n)*[}][ \n]*('' *)?([*]/)?[ \n]*$' and (note ~ '^[^{]*''[^{]*[{]') = (note ~ '[}][ \n]*''[^}]*$') then 'chartio'
    when is_valid_json(object) and note ~ '^[ \n]*(--|/[*]) *('' *)?Query generated by (Periscope|Periscope Data|Sisense):?[ \n]*[{](.|\n)*[}][ \n]*('' *)?([*]/)?[ \n]*$' and (note ~ '^[^{]*''[^{]*[{]') = (note ~ '[}][ \n]*''[^}]*$') then 'periscope'
    when bare and json_extract_path_text(object, 'url', true) ~ '^https://(modeanalytics.com|app.mode.com|app.modeanalytics.com|mode.com)/' then 'mode'
    when is_valid_json(object) and note ~ '^[ \n]*(--|/[*]) *Hex query metadata: *[{]' then 'hex'
    when bare and (json_extract_path_text(object, 'app', true) <> '' or json_extract_path_text(object, 'application', true) <> '' or json_extract_path_text(object, 'app_name', true) <> '' or json_extract_path_text(object, 'dag', true) <> '' or json_extract_path_text(object, 'dag_id', true) <> '' or json_extract_path_text(object, 'task', true) <> '' or json_extract_path_text(object, 'task_id', true) <> '' or json_extract_path_text(object, 'model', true) <> '' or json_extract_path_text(object, 'dashboard', true) <> '' or json_extract_path_text(object, 'dashboard_id', true) <> '' or json_extract_path_text(object, 'controller', true) <> '' or json_extract_path_text(object, 'airflow_dag_id', true) <> '' or json_extract_path_text(object, 'airflow_task_id', true) <> '' or json_extract_path_text(object, 'airflow-dag', true) <> '' or json_extract_path_text(object, 'airflow-task', true) <> '') and note !~ '"(airflow-dag|airflow-task|airflow_dag_id|airflow_run_id|airflow_task_id|airflow_try_number|app|app_name|application|attempt|chart|chart_id|chart_name|dag|dag_id|dag_run_id|dashboard|dashboard_id|dashboard_name|email|invocation_id|model|model_name|panel|person|run|run_id|saved_query|saved_query_id|scheduled|service|service.name|sourceUrl|source_url|task|task_id|team|trace|trace_id|traceparent|try|try_number|url|user|user_email|user_id|user_name|username)" *: *[{]' and not (json_extract_path_text(object, 'app', true) = '' and note ~ '"(airflow_dag_id|airflow-dag|dag_run_id|dag_owner|try_number)"') then 'json'
    when object is null and note ~ '^[ \n]*/[*] *Username: [^,]*(, (query_id|Query ID|Task ID|Job ID|Queue|Query Hash|Scheduled): [^,]*)+[*]/[ \n]*$' and note ~ ', (query_id|Query ID|Query Hash): ' then 'redash'
    when object is null and note ~ '^[ \n]*(--|/[*]) *Metabase:: *[A-Za-z]+: ' then 'metabase'
    when object is null and note ~ '^[ \n]*(--|/[*]) *[Aa]irflow[ :]+([A-Za-z_@][A-Za-z0-9_.@-]*(=|: ?)[^ ,;=(){}"'']+[ ,;]*)+([*]/)?[ \n;]*$' and note ~ '[-*, ;](app|application|app_name|dag|dag_id|task|task_id|model|dashboard|dashboard_id|controller|airflow_dag_id|airflow_task_id|airflow-dag|airflow-task)[=:]' then 'airflow'
    when object is null and note ~ '^[ \n;]*/[*][A-Za-z_][^ =,'']*=''[^'']*''(,[^ =,'']+=''[^'']*'')+[*]/[ \n;]*$' and note not like '%*dd%' and note !~ '[*,][^=]*%[^=]*=' and strpos(note, '%%') = 0 then 'sqlcommenter'
    when object is null and note ~ '^[ \n]*(--|/[*]) *([A-Za-z_@][A-Za-z0-9_.@-]*(=|: ?)[^ ,;=(){}"'']+[ ,;]*)+([*]/)?[ \n;]*$' and note ~ '[-*, ;](app|application|app_name|dag|dag_id|task|task_id|model|dashboard|dashboard_id|controller|airflow_dag_id|airflow_task_id|airflow-dag|airflow-task)[=:]' and note ~ '[-*, ;](airflow-dag|airflow-task|airflow_dag_id|airflow_run_id|airflow_task_id|airflow_try_number|app|app_name|application|attempt|chart|chart_id|chart_name|dag|dag_id|dag_run_id|dashboard|dashboard_id|dashboard_name|email|invocation_id|model|model_name|panel|person|run|run_id|saved_query|saved_query_id|scheduled|service|service.name|sourceUrl|source_url|task|task_id|team|trace|trace_id|traceparent|try|try_number|url|user|user_email|user_id|user_name|username)[=:].*[-*, ;](airflow-dag|airflow-task|airflow_dag_id|airflow_run_id|airflow_task_id|airflow_try_number|app|app_name|application|attempt|chart|chart_id|chart_name|dag|dag_id|dag_run_id|dashboard|dashboard_id|dashboard_name|email|invocation_id|model|model_name|panel|person|run|run_id|saved_query|saved_query_id|scheduled|service|service.name|sourceUrl|source_url|task|task_id|team|trace|trace_id|traceparent|try|try_number|url|user|user_email|user_id|user_name|username)[=:]' then 'list'
  end as form
  from (
  select *, object is not null and is_valid_json(object) and regexp_replace(replace(note, object, ''), '[-/* ;\n\r\t]', '') = '' as bare
  from (
  /* the object in the comment */
  select *, case when code <> '' then case when len(code) % 4 = 0 then from_varbyte(to_varbyte(code, 'base64'), 'utf8') end when note like '%{%}%' then regexp_substr(note, '[{](.|\n)*[}]') end as object
  from (
  select *, regexp_substr(note, '^[ \n]*/[*] *INTERMIX_ID:? *([A-Za-z0-9+/]+={0,2})[ \n]*[*]/', 1, 1, 'e') as code
  from (
  /* the one comment at the front or at the end */
  select *, case when front <> '' then front when len(regexp_replace(replace(noted, rear, ''), '[^'']', '')) % 2 = 0 then nullif(rear, '') end as note
  from (
  select *,
    regexp_substr(noted, '^[ \n\r\t;]*(/[*]([^*]|[*]+[^*/])*[*]+/|--[^\n]*)') as front,
    regexp_substr(noted, '(/[*]([^*]|[*]+[^*/])*[*]+/|--[^\n]*)[ \n\r\t;]*$') as rear
  from (
  select
    case rtrim(h.status) when 'success' then 'success' when 'failed' then 'failed' when 'canceled' then 'aborted' when 'queued' then 'queued' else 'running' end as status,
    h.start_time as started_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then nullif(h.end_time, timestamp '2000-01-01 00:00:00') end as ended_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then h.elapsed_time end as elapsed_us,
    (lower(rtrim(h.query_type)) not in ('utility', 'command') and h.query_text not like '/* {"app":"lakeapm"%') as counted,
    case when h.query_text like '%/*%' or h.query_text like '%--%' then replace(replace(replace(replace(rtrim(h.query_text), '\\\\', chr(1)), '\\n', chr(10)), '\\r', chr(13)), chr(1), '\\') end as noted
  from sys_query_history as h
  where h.user_id > 1 /* others are the system's own */
    and h.start_time >= timestamp '2026-11-18 12:00:00.000000' and h.start_time < timestamp '2026-11-20 12:00:00.000000'
    and h.end_time >= timestamp '2026-11-19 12:00:00.000000' and h.end_time < timestamp '2026-11-20 12:00:00.000000'
  offset 0) as statements
  offset 0) as commented
  offset 0) as noticed
  offset 0) as coded
  offset 0) as opened
  offset 0) as told
  offset 0) as signed
) as query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
    and status = 'success'
  group by 1, 2
), ranked as (
  select *, row_number() over (order by "p95 latency" asc nulls last, dag nulls last, task nulls last) as place, count(*) over () as group_count
  from grouped
), series as (
  select
    timestamp 'epoch' + floor(extract(epoch from ended_at) / 3600) * 3600 * interval '1 second' as "time",
    dag,
    task,
    percentile_cont(0.95) within group (order by cast(elapsed_us as float8)) / 1000000.0::float8 as "p95 latency"
  from (
  select
    status,
    started_at,
    ended_at,
    elapsed_us,
    counted,
    case
      when form in ('intermix', 'json') then coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-dag', true)), ''))
      when form in ('dbt_query_tags', 'dbt') then coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), ''))
      when form in ('airflow', 'list') then coalesce(nullif(trim(regexp_substr(note, '[-*, ;]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), ''))
    end as dag,
    case
      when form in ('intermix', 'json') then case when coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-dag', true)), '')) is null or strpos(coalesce(nullif(trim(json_extract_path_text(object, 'task', true)), ''), nullif(trim(json_extract_path_text(object, 'task_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_task_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-task', true)), '')), coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-dag', true)), '')) || '/') = 1 then coalesce(nullif(trim(json_extract_path_text(object, 'task', true)), ''), nullif(trim(json_extract_path_text(object, 'task_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_task_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-task', true)), '')) else coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_dag_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-dag', true)), '')) || '/' || coalesce(nullif(trim(json_extract_path_text(object, 'task', true)), ''), nullif(trim(json_extract_path_text(object, 'task_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow_task_id', true)), ''), nullif(trim(json_extract_path_text(object, 'airflow-task', true)), '')) end
      when form in ('dbt_query_tags', 'dbt') then case when coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), '')) is null or strpos(coalesce(nullif(trim(json_extract_path_text(object, 'task', true)), ''), nullif(trim(json_extract_path_text(object, 'task_id', true)), '')), coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), '')) || '/') = 1 then coalesce(nullif(trim(json_extract_path_text(object, 'task', true)), ''), nullif(trim(json_extract_path_text(object, 'task_id', true)), '')) else coalesce(nullif(trim(json_extract_path_text(object, 'dag', true)), ''), nullif(trim(json_extract_path_text(object, 'dag_id', true)), '')) || '/' || coalesce(nullif(trim(json_extract_path_text(object, 'task', true)), ''), nullif(trim(json_extract_path_text(object, 'task_id', true)), '')) end
      when form in ('airflow', 'list') then case when coalesce(nullif(trim(regexp_substr(note, '[-*, ;]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), '')) is null or strpos(coalesce(nullif(trim(regexp_substr(note, '[-*, ;]task[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]task_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_task_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]task[=:] *([^ ,;*]+)', 1, 1, 'e')), '')), coalesce(nullif(trim(regexp_substr(note, '[-*, ;]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), '')) || '/') = 1 then coalesce(nullif(trim(regexp_substr(note, '[-*, ;]task[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]task_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_task_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]task[=:] *([^ ,;*]+)', 1, 1, 'e')), '')) else coalesce(nullif(trim(regexp_substr(note, '[-*, ;]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_dag_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]dag[=:] *([^ ,;*]+)', 1, 1, 'e')), '')) || '/' || coalesce(nullif(trim(regexp_substr(note, '[-*, ;]task[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]task_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow_task_id[=:] *([^ ,;*]+)', 1, 1, 'e')), ''), nullif(trim(regexp_substr(note, '[-*, ;]airflow[-]task[=:] *([^ ,;*]+)', 1, 1, 'e')), '')) end
    end as task
  from (
  /* which tool signed it */
  select *, case when note is null then null
    when code <> '' and is_valid_json(object) then 'intermix'
    when bare and json_extract_path_text(object, 'dbt_query_tags_version', true) <> '' then 'dbt_query_tags'
    when bare and json_extract_path_text(object, 'app', true) = 'dbt' then 'dbt'
    when bare and json_extract_path_text(object, 'dbt_version', true) <> '' and (json_extract_path_text(object, 'node_id', true) <> '' or json_extract_path_text(object, 'profile_name', true) <> '' or json_extract_path_text(object, 'target_name', true) <> '') then 'dbt'
    when is_valid_json(object) and note ~ '^[ \n]*(--|/[*]) *(Looker )?Query Context *''?[{]' then 'looker'
    when is_valid_json(object) and note ~ '^[ \n]*-- */[*] *partner: "metabase", *[{]' then 'metabase_partner'
    when is_valid_json(object) and note ~ '^[ \n]*(--|/[*]) *('' *)?Query generated by Chartio:?[ \n]*[{](.|\n)*[}][ \n]*('' *)?([*]/)?[ \n]*$' and (note ~ '^[^{]*''[^{]*[{]') = (note ~ '[}][ \n]*''[^}]*$') then 'chartio'
    when is_valid_json(object) and note ~ '^[ \n]*(--|/[*]) *('' *)?Query generated by (Periscope|Periscope Data|Sisense):?[ \n]*[{](.|\n)*[}][ \n]*('' *)?([*]/)?[ \n]*$' and (note ~ '^[^{]*''[^{]*[{]') = (note ~ '[}][ \n]*''[^}]*$') then 'periscope'
    when bare and json_extract_path_text(object, 'url', true) ~ '^https://(modeanalytics.com|app.mode.com|app.modeanalytics.com|mode.com)/' then 'mode'
    when is_valid_json(object) and note ~ '^[ \n]*(--|/[*]) *Hex query metadata: *[{]' then 'hex'
    when bare and (json_extract_path_text(object, 'app', true) <> '' or json_extract_path_text(object, 'application', true) <> '' or json_extract_path_text(object, 'app_name', true) <> '' or json_extract_path_text(object, 'dag', true) <> '' or json_extract_path_text(object, 'dag_id', true) <> '' or json_extract_path_text(object, 'task', true) <> '' or json_extract_path_text(object, 'task_id', true) <> '' or json_extract_path_text(object, 'model', true) <> '' or json_extract_path_text(object, 'dashboard', true) <> '' or json_extract_path_text(object, 'dashboard_id', true) <> '' or json_extract_path_text(object, 'controller', true) <> '' or json_extract_path_text(object, 'airflow_dag_id', true) <> '' or json_extract_path_text(object, 'airflow_task_id', true) <> '' or json_extract_path_text(object, 'airflow-dag', true) <> '' or json_extract_path_text(object, 'airflow-task', true) <> '') and note !~ '"(airflow-dag|airflow-task|airflow_dag_id|airflow_run_id|airflow_task_id|airflow_try_number|app|app_name|application|attempt|chart|chart_id|chart_name|dag|dag_id|dag_run_id|dashboard|dashboard_id|dashboard_name|email|invocation_id|model|model_name|panel|person|run|run_id|saved_query|saved_query_id|scheduled|service|service.name|sourceUrl|source_url|task|task_id|team|trace|trace_id|traceparent|try|try_number|url|user|user_email|user_id|user_name|username)" *: *[{]' and not (json_extract_path_text(object, 'app', true) = '' and note ~ '"(airflow_dag_id|airflow-dag|dag_run_id|dag_owner|try_number)"') then 'json'
    when object is null and note ~ '^[ \n]*/[*] *Username: [^,]*(, (query_id|Query ID|Task ID|Job ID|Queue|Query Hash|Scheduled): [^,]*)+[*]/[ \n]*$' and note ~ ', (query_id|Query ID|Query Hash): ' then 'redash'
    when object is null and note ~ '^[ \n]*(--|/[*]) *Metabase:: *[A-Za-z]+: ' then 'metabase'
    when object is null and note ~ '^[ \n]*(--|/[*]) *[Aa]irflow[ :]+([A-Za-z_@][A-Za-z0-9_.@-]*(=|: ?)[^ ,;=(){}"'']+[ ,;]*)+([*]/)?[ \n;]*$' and note ~ '[-*, ;](app|application|app_name|dag|dag_id|task|task_id|model|dashboard|dashboard_id|controller|airflow_dag_id|airflow_task_id|airflow-dag|airflow-task)[=:]' then 'airflow'
    when object is null and note ~ '^[ \n;]*/[*][A-Za-z_][^ =,'']*=''[^'']*''(,[^ =,'']+=''[^'']*'')+[*]/[ \n;]*$' and note not like '%*dd%' and note !~ '[*,][^=]*%[^=]*=' and strpos(note, '%%') = 0 then 'sqlcommenter'
    when object is null and note ~ '^[ \n]*(--|/[*]) *([A-Za-z_@][A-Za-z0-9_.@-]*(=|: ?)[^ ,;=(){}"'']+[ ,;]*)+([*]/)?[ \n;]*$' and note ~ '[-*, ;](app|application|app_name|dag|dag_id|task|task_id|model|dashboard|dashboard_id|controller|airflow_dag_id|airflow_task_id|airflow-dag|airflow-task)[=:]' and note ~ '[-*, ;](airflow-dag|airflow-task|airflow_dag_id|airflow_run_id|airflow_task_id|airflow_try_number|app|app_name|application|attempt|chart|chart_id|chart_name|dag|dag_id|dag_run_id|dashboard|dashboard_id|dashboard_name|email|invocation_id|model|model_name|panel|person|run|run_id|saved_query|saved_query_id|scheduled|service|service.name|sourceUrl|source_url|task|task_id|team|trace|trace_id|traceparent|try|try_number|url|user|user_email|user_id|user_name|username)[=:].*[-*, ;](airflow-dag|airflow-task|airflow_dag_id|airflow_run_id|airflow_task_id|airflow_try_number|app|app_name|application|attempt|chart|chart_id|chart_name|dag|dag_id|dag_run_id|dashboard|dashboard_id|dashboard_name|email|invocation_id|model|model_name|panel|person|run|run_id|saved_query|saved_query_id|scheduled|service|service.name|sourceUrl|source_url|task|task_id|team|trace|trace_id|traceparent|try|try_number|url|user|user_email|user_id|user_name|username)[=:]' then 'list'
  end as form
  from (
  select *, object is not null and is_valid_json(object) and regexp_replace(replace(note, object, ''), '[-/* ;\n\r\t]', '') = '' as bare
  from (
  /* the object in the comment */
  select *, case when code <> '' then case when len(code) % 4 = 0 then from_varbyte(to_varbyte(code, 'base64'), 'utf8') end when note like '%{%}%' then regexp_substr(note, '[{](.|\n)*[}]') end as object
  from (
  select *, regexp_substr(note, '^[ \n]*/[*] *INTERMIX_ID:? *([A-Za-z0-9+/]+={0,2})[ \n]*[*]/', 1, 1, 'e') as code
  from (
  /* the one comment at the front or at the end */
  select *, case when front <> '' then front when len(regexp_replace(replace(noted, rear, ''), '[^'']', '')) % 2 = 0 then nullif(rear, '') end as note
  from (
  select *,
    regexp_substr(noted, '^[ \n\r\t;]*(/[*]([^*]|[*]+[^*/])*[*]+/|--[^\n]*)') as front,
    regexp_substr(noted, '(/[*]([^*]|[*]+[^*/])*[*]+/|--[^\n]*)[ \n\r\t;]*$') as rear
  from (
  select
    case rtrim(h.status) when 'success' then 'success' when 'failed' then 'failed' when 'canceled' then 'aborted' when 'queued' then 'queued' else 'running' end as status,
    h.start_time as started_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then nullif(h.end_time, timestamp '2000-01-01 00:00:00') end as ended_at,
    case when rtrim(h.status) in ('success', 'failed', 'canceled') then h.elapsed_time end as elapsed_us,
    (lower(rtrim(h.query_type)) not in ('utility', 'command') and h.query_text not like '/* {"app":"lakeapm"%') as counted,
    case when h.query_text like '%/*%' or h.query_text like '%--%' then replace(replace(replace(replace(rtrim(h.query_text), '\\\\', chr(1)), '\\n', chr(10)), '\\r', chr(13)), chr(1), '\\') end as noted
  from sys_query_history as h
  where h.user_id > 1 /* others are the system's own */
    and h.start_time >= timestamp '2026-11-18 12:00:00.000000' and h.start_time < timestamp '2026-11-20 12:00:00.000000'
    and h.end_time >= timestamp '2026-11-19 12:00:00.000000' and h.end_time < timestamp '2026-11-20 12:00:00.000000'
  offset 0) as statements
  offset 0) as commented
  offset 0) as noticed
  offset 0) as coded
  offset 0) as opened
  offset 0) as told
  offset 0) as signed
) as query
  where ended_at >= timestamp '2026-11-19 12:00:00.000000'
    and ended_at < timestamp '2026-11-20 12:00:00.000000'
    and counted
    and status = 'success'
  group by 1, 2, 3
)
select
  series."time" as "time",
  case when place <= 2 then place else 3 end as place,
  max(series.dag) as dag,
  max(series.task) as task,
  max(case when place <= 2 then series."p95 latency" end) as "p95 latency",
  max(group_count) as group_count
from series
join ranked on coalesce(series.dag, '') = coalesce(ranked.dag, '') and coalesce(series.task, '') = coalesce(ranked.task, '')
group by 1, 2
limit 1000001
