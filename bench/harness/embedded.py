"""A node inside a Swift program: what its hits and misses cost. Runs `embedded-bench`."""

import json
import os
import subprocess

from .results import OURS, Check, Row
from .servers import ROOT

BENCH = os.path.abspath(
    os.environ.get("EMBEDDED_BENCH", os.path.join(ROOT, ".build", "release", "embedded-bench")))
GROUP = "Embedded in a Swift program, 32 B values"
WAYS = {"hit_borrowed": "bytes borrowed", "hit_bytes": "[UInt8]", "hit_string": "String"}


def cells(plan, wanted):
    if not wanted("embedded"):
        return
    hits, misses = (2_000_000, 20_000) if plan.quick else (10_000_000, 100_000)
    done = subprocess.run([BENCH, str(hits), str(misses)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{BENCH}: {done.stderr.strip()}")
    found = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    for name, way in WAYS.items():
        figures = found[name]
        one, rate = figures["one_thread_ns"], figures["two_threads_rate"]
        # The figure is that of the way that makes no value: the others pay for the array and the string beside.
        checks = [Check("ns", one, "<=", 100)] if name == "hit_borrowed" else []
        yield Row(GROUP, f"hit, {way}: one thread", "ns", {OURS: one}, checks, [], {name: figures})
        checks = [Check("x the rate", rate, ">=", 1.7)] if name == "hit_borrowed" else []
        yield Row(GROUP, f"hit, {way}: two threads against one", "x", {OURS: rate}, checks)
    yield Row(
        GROUP, "miss, its loader answers at once: one task", "ns", {OURS: found["miss"]["one_task_ns"]}, [],
        ["onto an event loop, a task for the loader, stored, and back: one after the other"])
