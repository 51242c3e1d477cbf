"""The store without a server around it: growth pauses, expiry, the memory ceiling. Runs `store-bench`."""

import json
import os
import subprocess

from . import machine
from .results import OURS, Check, Row
from .servers import ROOT

STORE_BENCH = os.path.abspath(os.environ.get("STORE_BENCH", os.path.join(ROOT, ".build", "release", "store-bench")))


def run(command, **options):
    arguments = [STORE_BENCH, command]
    for name, value in options.items():
        arguments += ["--" + name.replace("_", "-"), str(value)]
    done = subprocess.run(arguments, capture_output=True, text=True, preexec_fn=machine.placed("server"))
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def cells(plan, wanted):
    if wanted("growth"):
        yield growth(plan)
    if wanted("expiry"):
        yield from expiry(plan)
    if wanted("ceiling"):
        yield from ceiling(plan)


def growth(plan):
    found = run("growth", entries=plan.many_keys, runs=3)
    remark = (
        f"own CPU time of single writes of 48 B (every 1000th of 64 KB) from 0 to {found['entries']:,} entries, "
        f"{found['runs']} runs: p50 {found['p50_us']:.2f}, p99.99 {found['p9999_us']:.1f}, p99.9999 "
        f"{found['p999999_us']:.1f}, slowest seen {found['slowest_seen_us']:.0f} us; the figure is the slowest that "
        f"came at the same write in every run; "
        f"longest background step {found['maintenance_max_us']:.0f} us")
    return Row(
        "The store alone", "slowest write while growing", "us", {OURS: found["slowest_repeated_us"]},
        [Check("us", found["slowest_repeated_us"], "<=", 1000)], [remark], {"growth": found})


def expiry(plan):
    seconds = 3 if plan.quick else 10
    found = run("expiry", rate=1_000_000, seconds=seconds)
    yield Row(
        "The store alone", "1M expiries a second: share of a core", "", {OURS: found["cpu_share"]},
        [Check("of a core", found["cpu_share"], "<=", 0.2)],
        [f"{found['cpu_ns_per_expiry']:.0f} ns of CPU per expired entry, over {seconds} s"], {"expiry": found})
    yield Row(
        "The store alone", "1M expiries a second: memory returns after", "s", {OURS: found["lag_seconds"]},
        [Check("s", found["lag_seconds"], "<=", 2)],
        [f"taken memory went from {found['taken_bytes_before'] / 2**20:.0f} to "
         f"{found['taken_bytes_after'] / 2**20:.0f} MiB, {found['left_entries']:,} entries left"])


def ceiling(plan):
    limit = "64mb" if plan.quick else "512mb"
    for eviction in ("s3fifo", "size-aware", "lru"):
        found = run("ceiling", limit=limit, times=10, eviction=eviction, seed=1)
        remark = f"{found['writes']:,} writes of 1 B to 4 MB in five mixes, ten times the limit, seed {found['seed']}"
        yield Row(
            "The store alone", f"resident memory over a limit of {limit}, {eviction}", "",
            {OURS: found["resident_over_limit"]},
            [Check("of the limit", found["resident_over_limit"], "<=", 1.05),
             Check("writes refused", found["refused"], "<=", 0)],
            [remark], {eviction: found})
