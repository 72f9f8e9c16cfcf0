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
}


def duck(history, runs):
    clock = json.load(open(os.path.join(history, "lakeapm.json")))
    now = clock["demo"]["now"]
    con = duckdb.connect()
    con.execute(f"set threads = {os.cpu_count()}")
    con.execute("set parquet_metadata_cache = true")
    files = sorted(glob.glob(os.path.join(history, "*", "query-*.parquet")))
    con.execute(f"create view files as select * from read_parquet({files!r}, union_by_name = true)")
    figures = {}
    for name, (hours, sql) in QUESTIONS.items():
        con.execute(f"""create or replace view q as select * from files
            where ended_at >= timestamp '{now}' - interval {hours} hour and ended_at < timestamp '{now}'""")
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
    mine, theirs = {}, {}
    for _ in range(rounds):
        for name, (times, rows) in duck(history, runs).items():
            theirs.setdefault(name, []).extend(times)
        for name, (median, rows) in ours(binary, history, runs).items():
            mine.setdefault(name, []).append(median)
    print(f"{'question':<40} {'lakeapm':>10} {'duckdb':>10} {'ratio':>6}")
    ratios = []
    for name in QUESTIONS:
        a, b = statistics.median(mine[name]), statistics.median(theirs[name])
        ratios.append(a / b)
        print(f"{name:<40} {a:>7.0f} ms {b:>7.0f} ms {a / b:>6.2f}")
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
