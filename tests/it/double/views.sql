-- Redshift's system views as PostgreSQL has them: the documented columns, types, padding, escapes and sentinels, and the
-- functions that Redshift has and PostgreSQL has not, or has otherwise. A statement for Redshift runs here as it is.
--
-- `stored` holds the rows, in tables without a log because nobody reads them after a crash, `redshift` the views a login sees. A session of this database looks into `redshift` before
-- PostgreSQL's own catalog, and reads a backslash in a literal as Redshift does: as an escape.
--
-- Who sees what follows `cm_chap_system-tables` of Redshift's Database Developer Guide: a superuser and whoever is in
-- `stored.monitor` (`SYSLOG ACCESS UNRESTRICTED`, the role `sys:monitor`) sees every row, others their own; the views that
-- only superusers see are granted to nobody.

set standard_conforming_strings = on;

create schema stored;
create schema redshift;

do $$
begin
  execute format('alter database %I set search_path = redshift, pg_catalog, public', current_database());
  execute format('alter database %I set standard_conforming_strings = off', current_database());
  execute format('alter database %I set escape_string_warning = off', current_database());
  execute format('alter database %I set timezone = ''UTC''', current_database());
end $$;

set search_path = redshift, pg_catalog, public;

grant usage on schema redshift to public;
grant usage on schema stored to public;

-- Users ---------------------------------------------------------------------------------------------------------------

-- The logins of the workload, beside those of the server.
create unlogged table stored.login (usesysid integer primary key, usename name not null unique, usesuper boolean not null default false);
-- Who sees the rows of others without being superuser.
create unlogged table stored.monitor (usename name primary key);
grant select on stored.login, stored.monitor to public;

create view redshift.pg_user as
select usename, usesysid, false as usecreatedb, usesuper, false as usecatupd, '********'::text as passwd,
  null::timestamptz as valuntil, null::text[] as useconfig
from stored.login
union all
select s.usename, s.usesysid::int4, s.usecreatedb, s.usesuper, false, '********'::text, null::timestamptz, null::text[]
from pg_catalog.pg_user as s
where not exists (select 1 from stored.login as l where l.usename = s.usename);

create view redshift.svv_user_info as
select usesysid as user_id, usename::text as user_name, usecreatedb as createdb, usesuper as superuser, false as catalog_update,
  '-1'::text as connection_limit, case when usename in (select m.usename from stored.monitor as m) then 'UNRESTRICTED' else 'RESTRICTED' end as syslog_access,
  null::text as last_ddl_ts, null::integer as session_timeout, null::text as external_id
from redshift.pg_user;

create function stored.sees_all() returns boolean language sql stable as $$
  select coalesce((select bool_or(usesuper) from redshift.pg_user where usename = current_user), false)
    or exists (select 1 from stored.monitor where usename = current_user)
$$;

create function stored.own() returns integer language sql stable as $$
  select min(usesysid) from redshift.pg_user where usename = current_user
$$;

grant select on redshift.pg_user to public;

-- Statements ----------------------------------------------------------------------------------------------------------

-- https://docs.aws.amazon.com/redshift/latest/dg/SYS_QUERY_HISTORY.html
create unlogged table stored.sys_query_history (
  user_id integer,
  query_id bigint,
  query_label char(320),
  transaction_id bigint,
  session_id integer,
  database_name char(128),
  query_type char(32),
  status char(10),
  result_cache_hit boolean,
  start_time timestamp,
  end_time timestamp,
  elapsed_time bigint,
  queue_time bigint,
  execution_time bigint,
  error_message char(512),
  returned_rows bigint,
  returned_bytes bigint,
  query_text char(4000),
  redshift_version char(256),
  usage_limit char(150),
  compute_type varchar(32),
  compile_time bigint,
  planning_time bigint,
  lock_wait_time bigint,
  service_class_id integer,
  service_class_name char(64),
  query_priority char(20),
  short_query_accelerated char(10),
  user_query_hash char(40),
  generic_query_hash char(40),
  query_hash_version integer,
  result_cache_query_id integer,
  username char(128)
);
create index on stored.sys_query_history (start_time);

-- https://docs.aws.amazon.com/redshift/latest/dg/SYS_QUERY_TEXT.html
create unlogged table stored.sys_query_text (
  user_id integer,
  query_id bigint,
  transaction_id bigint,
  session_id integer,
  start_time timestamp,
  sequence integer,
  text char(4000)
);
create index on stored.sys_query_text (start_time);
create index on stored.sys_query_text (query_id);

-- https://docs.aws.amazon.com/redshift/latest/dg/SYS_QUERY_DETAIL.html
create unlogged table stored.sys_query_detail (
  user_id integer,
  query_id bigint,
  child_query_sequence integer,
  stream_id integer,
  segment_id integer,
  step_id integer,
  step_name text,
  table_id integer,
  table_name char(136),
  is_rrscan char,
  start_time timestamp,
  end_time timestamp,
  duration bigint,
  alert text,
  input_bytes bigint,
  input_rows bigint,
  output_bytes bigint,
  output_rows bigint,
  blocks_read bigint,
  blocks_write bigint,
  local_read_io bigint,
  remote_read_io bigint,
  source text,
  data_skewness integer,
  time_skewness integer,
  is_active char,
  spilled_block_local_disk bigint,
  spilled_block_remote_disk bigint,
  step_attribute char(64),
  metrics_level char(64),
  plan_parent_id integer,
  plan_node_id integer
);
create index on stored.sys_query_detail (start_time);

-- https://docs.aws.amazon.com/redshift/latest/dg/SYS_EXTERNAL_QUERY_DETAIL.html
create unlogged table stored.sys_external_query_detail (
  user_id integer,
  query_id bigint,
  transaction_id bigint,
  child_query_sequence integer,
  segment_id integer,
  source_type char(32),
  start_time timestamp,
  end_time timestamp,
  duration bigint,
  total_partitions integer,
  qualified_partitions integer,
  scanned_files bigint,
  returned_rows bigint,
  returned_bytes bigint,
  file_format text,
  file_location text,
  external_query_text text,
  warning_message char(4000),
  table_name char(136),
  is_recursive char(1),
  is_nested char(1),
  s3list_time bigint,
  get_partition_time bigint,
  query_uuid char(36)
);

-- https://docs.aws.amazon.com/redshift/latest/dg/SYS_LOAD_HISTORY.html
create unlogged table stored.sys_load_history (
  user_id integer,
  query_id bigint,
  transaction_id bigint,
  session_id integer,
  database_name text,
  status text,
  table_name text,
  start_time timestamp,
  end_time timestamp,
  duration bigint,
  data_source text,
  file_format text,
  loaded_rows bigint,
  loaded_bytes bigint,
  source_file_count integer,
  source_file_bytes bigint,
  file_count_scanned integer,
  file_bytes_scanned bigint,
  error_count bigint,
  copy_job_id bigint
);

-- https://docs.aws.amazon.com/redshift/latest/dg/SYS_TRANSACTION_HISTORY.html; superusers only
create unlogged table stored.sys_transaction_history (
  user_id integer,
  transaction_id bigint,
  isolation_level text,
  status text,
  transaction_start_time timestamp,
  commit_start_time timestamp,
  commit_end_time timestamp,
  blocks_committed bigint,
  undo_transaction_id bigint
);

-- https://docs.aws.amazon.com/redshift/latest/dg/SYS_SERVERLESS_USAGE.html; superusers only, serverless only
create unlogged table stored.sys_serverless_usage (
  start_time timestamp,
  end_time timestamp,
  compute_seconds double precision,
  compute_capacity double precision,
  data_storage integer,
  cross_region_transferred_data integer,
  charged_seconds integer
);

-- https://docs.aws.amazon.com/redshift/latest/dg/SYS_CONNECTION_LOG.html; superusers only
create unlogged table stored.sys_connection_log (
  event char(50),
  record_time timestamp,
  remote_host char(45),
  remote_port char(32),
  session_id integer,
  database_name char(50),
  user_name char(50),
  auth_method char(32),
  duration integer,
  ssl_version char(50),
  ssl_cipher char(128),
  mtu integer,
  ssl_compression char(64),
  ssl_expansion char(64),
  iam_auth_guid char(36),
  application_name char(250),
  driver_version char(64),
  os_version char(64),
  plugin_name char(32),
  protocol_version integer,
  global_session_id char(36)
);

-- Tables --------------------------------------------------------------------------------------------------------------

-- https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_TABLE_INFO.html; superusers only
create unlogged table stored.svv_table_info (
  "database" text,
  "schema" text,
  table_id oid,
  "table" text,
  encoded text,
  diststyle text,
  sortkey1 text,
  max_varchar integer,
  sortkey1_enc char(32),
  sortkey_num integer,
  size bigint,
  pct_used numeric(10,4),
  empty bigint,
  unsorted numeric(5,2),
  stats_off numeric(5,2),
  tbl_rows numeric(38,0),
  skew_sortkey1 numeric(19,2),
  skew_rows numeric(19,2),
  estimated_visible_rows numeric(38,0),
  risk_event text,
  vacuum_sort_benefit numeric(12,2),
  create_time timestamp
);

-- https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_REDSHIFT_TABLES.html
create unlogged table stored.svv_redshift_tables (
  database_name varchar(128),
  schema_name varchar(128),
  table_name varchar(128),
  table_type varchar(128),
  table_acl varchar(128),
  remarks varchar(128)
);

-- https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_REDSHIFT_COLUMNS.html
create unlogged table stored.svv_redshift_columns (
  database_name varchar(128),
  schema_name varchar(128),
  table_name varchar(128),
  column_name varchar(128),
  ordinal_position integer,
  data_type varchar(32),
  column_default varchar(4000),
  is_nullable varchar(3),
  encoding varchar(128),
  distkey boolean,
  sortkey integer,
  column_acl varchar(128),
  remarks varchar(256)
);

-- Provisioned clusters only -------------------------------------------------------------------------------------------

-- https://docs.aws.amazon.com/redshift/latest/dg/r_STL_QUERY.html
create unlogged table stored.stl_query (
  userid integer,
  query integer,
  label char(320),
  xid bigint,
  pid integer,
  database char(32),
  querytxt char(4000),
  starttime timestamp,
  endtime timestamp,
  aborted integer,
  insert_pristine integer,
  concurrency_scaling_status integer
);

-- https://docs.aws.amazon.com/redshift/latest/dg/r_STL_WLM_QUERY.html
create unlogged table stored.stl_wlm_query (
  userid integer,
  xid integer,
  task integer,
  query integer,
  service_class integer,
  slot_count integer,
  service_class_start_time timestamp,
  queue_start_time timestamp,
  queue_end_time timestamp,
  total_queue_time bigint,
  exec_start_time timestamp,
  exec_end_time timestamp,
  total_exec_time bigint,
  service_class_end_time timestamp,
  final_state char(16),
  est_peak_mem bigint,
  query_priority char(20),
  service_class_name char(64)
);

-- https://docs.aws.amazon.com/redshift/latest/dg/r_SVL_QUERY_METRICS_SUMMARY.html
create unlogged table stored.svl_query_metrics_summary (
  userid integer,
  query integer,
  service_class integer,
  query_cpu_time bigint,
  query_blocks_read bigint,
  query_execution_time bigint,
  query_cpu_usage_percent numeric(38,2),
  query_temp_blocks_to_disk bigint,
  segment_execution_time bigint,
  cpu_skew numeric(38,2),
  io_skew numeric(38,2),
  scan_row_count bigint,
  join_row_count bigint,
  nested_loop_join_row_count bigint,
  return_row_count bigint,
  spectrum_scan_row_count bigint,
  spectrum_scan_size_mb bigint,
  query_queue_time bigint,
  service_class_name char(64)
);

-- https://docs.aws.amazon.com/redshift/latest/dg/r_STV_WLM_SERVICE_CLASS_CONFIG.html; superusers only
create unlogged table stored.stv_wlm_service_class_config (
  service_class integer,
  queueing_strategy char(32),
  num_query_tasks integer,
  target_num_query_tasks integer,
  evictable char(8),
  eviction_threshold bigint,
  query_working_mem integer,
  target_query_working_mem integer,
  min_step_mem integer,
  name char(64),
  max_execution_time bigint,
  user_group_wild_card boolean,
  query_group_wild_card boolean,
  concurrency_scaling char(20),
  query_priority char(20),
  user_role_wild_card boolean
);

-- What a login sees ---------------------------------------------------------------------------------------------------

do $$
declare
  own text;
  view record;
begin
  for view in
    select t.relname as name,
      (select a.attname from pg_attribute as a where a.attrelid = t.oid and a.attname in ('user_id', 'userid')) as who,
      t.relname not in (
        'svv_table_info', 'sys_transaction_history', 'sys_serverless_usage', 'sys_connection_log', 'stv_wlm_service_class_config'
      ) as everybodys
    from pg_class as t
    where t.relnamespace = 'stored'::regnamespace and t.relkind = 'r' and t.relname not in ('login', 'monitor')
  loop
    own := '';
    if view.who is not null and view.everybodys then
      own := format(' where (select stored.sees_all()) or %I = (select stored.own())', view.who);
    end if;
    execute format('create view redshift.%I as select * from stored.%I%s', view.name, view.name, own);
    if view.everybodys then
      execute format('grant select on redshift.%I to public', view.name);
    end if;
  end loop;
end $$;

-- Functions -----------------------------------------------------------------------------------------------------------
-- Redshift answers a text that is not found with an empty one, PostgreSQL with none.

create function redshift.getdate() returns timestamp language sql stable as $$
  select date_trunc('second', statement_timestamp() at time zone 'UTC')
$$;

create function redshift.dateadd(part text, n bigint, at timestamp) returns timestamp language sql immutable as $$
  select case lower(part)
    when 'microsecond' then at + n * interval '1 microsecond'
    when 'millisecond' then at + n * interval '1 millisecond'
    when 'second' then at + n * interval '1 second'
    when 'minute' then at + n * interval '1 minute'
    when 'hour' then at + n * interval '1 hour'
    when 'day' then at + n * interval '1 day'
    when 'week' then at + n * interval '1 week'
    when 'month' then at + n * interval '1 month'
  end
$$;

-- The number of boundaries between two instants.
create function redshift.datediff(part text, one timestamp, other timestamp) returns bigint language sql immutable as $$
  select case lower(part)
    when 'microsecond' then (extract(epoch from other) * 1000000)::bigint - (extract(epoch from one) * 1000000)::bigint
    when 'millisecond' then floor(extract(epoch from other) * 1000)::bigint - floor(extract(epoch from one) * 1000)::bigint
    when 'second' then floor(extract(epoch from other))::bigint - floor(extract(epoch from one))::bigint
    when 'minute' then floor(extract(epoch from other) / 60)::bigint - floor(extract(epoch from one) / 60)::bigint
    when 'hour' then floor(extract(epoch from other) / 3600)::bigint - floor(extract(epoch from one) / 3600)::bigint
    when 'day' then (other::date - one::date)::bigint
  end
$$;

create function redshift.len(x text) returns integer language sql immutable as 'select length($1)';
create function redshift.charindex(part text, whole text) returns integer language sql immutable as 'select strpos($2, $1)';
create function redshift.nvl(one text, other text) returns text language sql immutable as 'select coalesce($1, $2)';

-- A session reads these bodies when it first calls them, backslashes as escapes: there are none in them.
--
-- Of the flags `c`, `i`, `e` and `p`; without `p` Redshift knows POSIX expressions only, so what they lack is an error
-- here too.
create function redshift.regexp_substr(source text, pattern text, start integer, nth integer, flags text) returns text
language plpgsql immutable as $$
begin
  if flags !~ '^[ciep]*$' then
    raise exception 'regexp_substr knows no flags %', flags;
  end if;
  if flags !~ 'p' and pattern ~ '[(][?]|[*+?][?]' then
    raise exception 'a POSIX expression has no (?: and nothing lazy: %', pattern;
  end if;
  return coalesce(pg_catalog.regexp_substr(
    source, pattern, greatest(start, 1), greatest(nth, 1), case when flags ~ 'i' then 'i' else 'c' end,
    case when flags ~ 'e' then 1 else 0 end
  ), case when source is not null then '' end);
end $$;
create function redshift.regexp_substr(source text, pattern text, start integer, nth integer) returns text
  language sql immutable as $$ select redshift.regexp_substr($1, $2, $3, $4, 'c') $$;
create function redshift.regexp_substr(source text, pattern text, start integer) returns text
  language sql immutable as $$ select redshift.regexp_substr($1, $2, $3, 1, 'c') $$;
create function redshift.regexp_substr(source text, pattern text) returns text
  language sql immutable as $$ select redshift.regexp_substr($1, $2, 1, 1, 'c') $$;

-- PostgreSQL replaces the first match unless it is told to replace all, Redshift replaces all.
create function redshift.regexp_replace(source text, pattern text, new text) returns text
  language sql immutable as $$ select pg_catalog.regexp_replace($1, $2, replace($3, '$1', chr(92) || '1'), 'g') $$;

-- An object, array or scalar that is JSON; the first five levels of keys; '' for a key that is not there, null for JSON that
-- is none if it was asked so, else an error.
create function redshift.is_valid_json(x text) returns boolean language plpgsql immutable as $$
begin
  if x is null then
    return null;
  end if;
  return json_typeof(x::json) = 'object';
exception when others then
  return false;
end $$;

create function redshift.can_json_parse(x text) returns boolean language plpgsql immutable as $$
begin
  perform x::json;
  return x is not null;
exception when others then
  return false;
end $$;

create function stored.json_path(x text, path text[], quiet boolean) returns text language plpgsql immutable as $$
declare
  found text;
begin
  if x is null then
    return null;
  end if;
  if array_length(path, 1) > 5 then
    raise exception 'json_extract_path_text looks five levels deep';
  end if;
  found := x::json #>> path;
  return coalesce(found, '');
exception when invalid_text_representation or untranslatable_character then
  if quiet then
    return null;
  end if;
  raise exception 'JSON parsing error: %', x;
end $$;
create function redshift.json_extract_path_text(x text, a text) returns text
  language sql immutable as $$ select stored.json_path($1, array[$2], false) $$;
create function redshift.json_extract_path_text(x text, a text, quiet boolean) returns text
  language sql immutable as $$ select stored.json_path($1, array[$2], $3) $$;
create function redshift.json_extract_path_text(x text, a text, b text) returns text
  language sql immutable as $$ select stored.json_path($1, array[$2, $3], false) $$;
create function redshift.json_extract_path_text(x text, a text, b text, quiet boolean) returns text
  language sql immutable as $$ select stored.json_path($1, array[$2, $3], $4) $$;

-- Bytes: an error for what is none in that form.
create function redshift.to_varbyte(x text, form text) returns bytea language sql immutable as $$
  select case lower(form) when 'utf8' then convert_to($1, 'UTF8') else decode($1, lower($2)) end
$$;
create function redshift.from_varbyte(x bytea, form text) returns text language sql immutable as $$
  select case lower(form) when 'utf8' then convert_from($1, 'UTF8') else encode($1, lower($2)) end
$$;

-- Runs on compute nodes only, and its result is at most 64 KB.
create function stored.listed(so_far text, x text, parted text) returns text language sql immutable as $$
  select case when $2 is null then $1 when $1 is null then $2 else $1 || $3 || $2 end
$$;

grant execute on all functions in schema redshift to public;
grant execute on all functions in schema stored to public;
