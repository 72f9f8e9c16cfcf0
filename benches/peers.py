#!/usr/bin/env python3
"""LakeAPM beside its peers: DuckDB on the same files, sqlparse on the same texts, in one run on one machine.

    pip install duckdb sqlparse
    cargo build --release
    lakeapm demo --dir big --queries 20000000          # once
    benches/peers.py --lakeapm target/.../release/lakeapm --history big

Machines are noisy, so the two take turns and what counts is the ratio of their medians.
"""

import argparse
import glob
import json
import os
import re
import resource
import statistics
import subprocess
import tempfile
import time

import duckdb

# USD an hour of one ra3.4xlarge, as the demo's bill says.
NODE = 3.26
COUNTED = "counted"
SUCCESS = f"status = 'success' and {COUNTED}"

# The same meaning as the panel queries of `lakeapm bench`, as somebody who knows DuckDB would write it.
QUESTIONS = {
    "hourly p95 by dag, 30 days": (30 * 24, f"""
        select time_bucket(interval 1 hour, ended_at) as t, dag, quantile_cont(elapsed_us, 0.95) / 1e6
        from q where {SUCCESS} group by all"""),
    "hourly average by app, 30 days": (30 * 24, f"""
        select time_bucket(interval 1 hour, ended_at) as t, app, avg(elapsed_us) / 1e6
        from q where {SUCCESS} group by all"""),
    "top 10 people, 30 days": (30 * 24, f"""
        select person, sum(exec_us) / 1e6 as s from q where {SUCCESS} group by all
        order by s desc nulls last, person limit 10"""),
    "error rate of a dag's tasks, 30 days": (30 * 24, f"""
        select task, count(*) filter (status = 'failed') / count(*) from q
        where {COUNTED} and dag = 'daily_aggregations' and status in ('success', 'failed', 'aborted') group by all"""),
    "hourly p95 by dashboard, 30 days": (30 * 24, f"""
        select time_bucket(interval 1 hour, ended_at) as t, dashboard, quantile_cont(elapsed_us, 0.95) / 1e6
        from q where {SUCCESS} group by all"""),
    "p95 by dag, 30 days": (30 * 24, f"""
        select dag, quantile_cont(elapsed_us, 0.95) / 1e6 from q where {SUCCESS} group by all"""),
    "p95 by raw key, 30 days": (30 * 24, f"""
        select annotations['dag'] as k, quantile_cont(elapsed_us, 0.95) / 1e6 from q where {SUCCESS} group by all"""),
    "p95 by dag, 24 hours": (24, f"""
        select dag, quantile_cont(elapsed_us, 0.95) / 1e6 from q where {SUCCESS} group by all"""),
    # Queries cut at the hours, each part's share the difference of the running integral of its minute's rate.
    "hourly cost by person, 30 days": (30 * 24, """
        with price as (
            select warehouse, "at" as m, case when "at" < timestamp '{resize}' then {before} else {after} end / 60
                * active_us / 60e6 / nullif(total, 0) as usd from r where weight = 'exec_time'
        ), curve as (
            select warehouse, m, usd, sum(usd * 60e6) over (partition by warehouse order by m) - usd * 60e6 as upto from price
        ), active as (
            select warehouse, person, exec_us,
                started_at + to_microseconds(coalesce(queue_us, 0)) as a, ended_at as b
            from f where started_at < timestamp '{now}' and ended_at >= timestamp '{from}' and not coalesce(cache_hit, false)
        ), parts as (
            select warehouse, person, exec_us / epoch_us(b - a) as density, h as hour,
                greatest(a, h) as a, least(b, h + interval 1 hour) as b
            from (select *, unnest(generate_series(date_trunc('hour', a), b, interval 1 hour)) as h from active where a < b)
        )
        select hour, person, sum(density * (
            y.upto + y.usd * epoch_us(parts.b - y.m) - x.upto - x.usd * epoch_us(parts.a - x.m)))
        from parts
        join curve x on x.warehouse = parts.warehouse and x.m = date_trunc('minute', parts.a)
        join curve y on y.warehouse = parts.warehouse and y.m = date_trunc('minute', parts.b - interval 1 microsecond)
        where parts.a < parts.b and hour >= timestamp '{from}' group by all"""),
    "hourly peak by queue, 30 days": (30 * 24, """
        with active as (
            select queue, started_at + to_microseconds(coalesce(queue_us, 0)) as a, ended_at as b
            from f where started_at < timestamp '{now}' and ended_at >= timestamp '{from}'
        ), events as (
            select queue, greatest(a, timestamp '{from}') as m, 1 as d from active where a < b
            union all select queue, b, -1 from active where a < b and b < timestamp '{now}'
            union all select queue, h, 0 from (select distinct queue from active),
                (select unnest(generate_series(timestamp '{from}', timestamp '{now}' - interval 1 hour, interval 1 hour)) as h)
        ), running as (
            select queue, m, sum(d) over (partition by queue order by m, d rows unbounded preceding) as n from events
        )
        select date_trunc('hour', m) as hour, queue, max(n) from running group by all"""),
    "run time by dag, 30 days": (30 * 24, """
        with marked as (
            select *, case when run is null then coalesce(person, "user") end as who,
                max(ended_at) over (partition by warehouse, dag, run, case when run is null then coalesce(person, "user") end
                    order by started_at, ended_at, query_id rows between unbounded preceding and 1 preceding) as last_end
            from (select warehouse, dag, run, person, "user", started_at, ended_at, query_id from f
                where counted and dag is not null
                    and ended_at >= timestamp '{from}' - interval 1 day and ended_at < timestamp '{now}')
        ), numbered as (
            select *, sum(case when last_end is null or started_at >= last_end
                    + case when run is null then interval 10 minute else interval 1 day end then 1 else 0 end)
                over (partition by warehouse, dag, run, who order by started_at, ended_at, query_id rows unbounded preceding) as nth
            from marked
        ), runs as (
            select dag, min(started_at) as a, max(ended_at) as b from numbered group by warehouse, dag, run, who, nth
        )
        select dag, avg(epoch_us(b - a)) / 1e6 from runs where b >= timestamp '{from}' group by all"""),
    # A table that was read and never written is as old as what is known.
    "freshness by table": (30 * 24, """
        with known as (
            select warehouse, "table",
                max(case when write and committed and (rows is null or rows > 0) then ended_at end) as used,
                min(ended_at) as seen
            from t where ended_at < timestamp '{now}' group by all
            union all
            select distinct warehouse, "table", null, null from s where s."at" < timestamp '{now}'
        ), tables as (
            select warehouse, "table", max(used) as used, min(min(seen)) over () as first_seen from known group by all
        )
        select "table", max(epoch_us(timestamp '{now}' - coalesce(used, first_seen))) / 1e6 from tables group by all"""),
}


def duck(history, runs):
    clock = json.load(open(os.path.join(history, "lakeapm.json")))
    now = clock["demo"]["now"]
    con = duckdb.connect()
    con.execute(f"set threads = {os.cpu_count()}")
    con.execute("set parquet_metadata_cache = true")
    files = sorted(glob.glob(os.path.join(history, "*", "query-*.parquet")))
    con.execute(f"create view files as select * from read_parquet({files!r}, union_by_name = true)")
    con.execute("create view f as select * from files")
    for view, table in [("t", "touch"), ("r", "rate"), ("s", "table_state")]:
        files = sorted(glob.glob(os.path.join(history, "*", f"{table}-*.parquet")))
        con.execute(f"create view {view} as select * from read_parquet({files!r}, union_by_name = true)")
    bill = clock["bill"]
    words = {"now": now, "resize": bill[0]["to"], "before": bill[0]["nodes"] * NODE, "after": bill[1]["nodes"] * NODE}
    figures = {}
    for name, (hours, sql) in QUESTIONS.items():
        con.execute(f"""create or replace view q as select * from files
            where ended_at >= timestamp '{now}' - interval {hours} hour and ended_at < timestamp '{now}'""")
        first = con.execute(f"select timestamp '{now}' - interval {hours} hour").fetchone()[0]
        sql = sql.format(**words, **{"from": first}) if "{now}" in sql else sql
        times = []
        for _ in range(runs):
            started = time.perf_counter()
            rows = con.execute(sql).fetchall()
            times.append((time.perf_counter() - started) * 1e3)
        figures[name] = (times, len(rows))
    return figures


def ours(binary, history, runs):
    out = subprocess.run([binary, "bench", "--history", history, "--runs", str(runs)], check=True, capture_output=True, text=True)
    figures = {}
    for line in out.stdout.splitlines():
        found = re.match(r"(.+?)\s+([\d.]+) ms\s+(\d+) rows", line)
        if found:
            figures[found[1]] = (float(found[2]), int(found[3]))
        elif line.startswith("peak memory"):
            print(line)
    return figures


def questions(binary, history, rounds, runs):
    mine, theirs, answered = {}, {}, {}
    for _ in range(rounds):
        for name, (times, rows) in duck(history, runs).items():
            theirs.setdefault(name, []).extend(times)
            answered.setdefault(name, set()).add(rows)
        for name, (median, rows) in ours(binary, history, runs).items():
            mine.setdefault(name, []).append(median)
            answered.setdefault(name, set()).add(rows)
    print(f"{'question':<40} {'lakeapm':>10} {'duckdb':>10} {'ratio':>6}")
    ratios = []
    for name in QUESTIONS:
        a, b = statistics.median(mine[name]), statistics.median(theirs[name])
        ratios.append(a / b)
        # Hours without queries are rows too where lakeapm fills a time series.
        other = "" if len(answered[name]) == 1 else f"  rows: {sorted(answered[name])}"
        print(f"{name:<40} {a:>7.0f} ms {b:>7.0f} ms {a / b:>6.2f}{other}")
    print(f"{'median ratio':<40} {statistics.median(ratios):>29.2f}")
    print(f"duckdb's process peaked at {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def reading(binary):
    import sqlparse

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "texts.jsonl")
        subprocess.run([binary, "bench", "--texts", path], check=True)
        texts = [json.loads(line)["sql"] for line in open(path)][:2000]
    size = sum(len(text.encode()) for text in texts)
    started = time.perf_counter()
    comments = 0
    for text in texts:
        for token in sqlparse.parse(text):
            comments += sum(1 for part in token.flatten() if part.ttype in sqlparse.tokens.Comment)
    took = time.perf_counter() - started
    print(f"{'sqlparse, finding ' + str(comments) + ' comments':<40} {size / took / 1e6:>7.2f} MB/s")
    print(subprocess.run([binary, "bench"], check=True, capture_output=True, text=True).stdout, end="")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lakeapm", required=True)
    parser.add_argument("--history", help="a demo written with --now")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    if args.history:
        questions(args.lakeapm, args.history, args.rounds, args.runs)
    else:
        reading(args.lakeapm)
