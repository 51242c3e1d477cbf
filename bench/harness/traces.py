"""Miss ratios over real request sequences: TRACES=DIR with *.txt or *.txt.xz, `<key>` or `<key> <size>` a line."""

import glob
import lzma
import math
import os
import shutil

from . import generator, machine, memory, store
from .results import OURS, Check, Row
from .servers import OUT, Memcached, NexusCache, Redis

SHARES = (0.001, 0.01, 0.1)
# Cells below this many objects say more about rounding than about a policy.
CAPACITY_MIN = 64


def files():
    folder = os.environ.get("TRACES")
    found = sorted(path for end in ("txt", "txt.xz") for path in glob.glob(os.path.join(folder or "", f"*.{end}")))
    if not folder:
        found = []
    if not found:
        machine.note("no traces: TRACES=DIR names a folder of *.txt or *.txt.xz; the miss ratios are skipped")
    unpacked = []
    os.makedirs(os.path.join(OUT, "traces"), exist_ok=True)
    for path in found:
        if path.endswith(".xz"):
            target = os.path.join(OUT, "traces", os.path.basename(path)[:-3])
            if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(path):
                with lzma.open(path) as source, open(target + ".part", "wb") as copy:
                    shutil.copyfileobj(source, copy)
                os.replace(target + ".part", target)
            path = target
        unpacked.append(path)
    return unpacked


class Shape:
    """How many objects a trace has, and how large they are."""

    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)[:-4]
        sizes = {}
        self.requests = 0
        with open(path) as lines:
            for line in lines:
                self.requests += 1
                key, _, size = line.partition(" ")
                sizes[key] = int(size or 0)
        self.objects = len(sizes)
        self.bytes = sum(sizes.values())


def cells(plan, wanted):
    if not (wanted("misses") or wanted("bytes") or wanted("lookaside")):
        return
    shapes = sorted((Shape(path) for path in files()), key=lambda shape: shape.requests)
    if not shapes:
        return
    if wanted("misses"):
        yield from equal_objects(shapes)
    if wanted("bytes"):
        yield from equal_bytes([shape for shape in shapes if shape.bytes])
    if wanted("lookaside"):
        # The trace with the fewest requests stands for the others in a quick run.
        yield from equal_memory(shapes[:1] if plan.quick else shapes)


def equal_objects(shapes):
    """The default policy against exact LRU, both with room for a share of the objects."""
    logarithms = []
    worst = 0
    for shape in shapes:
        for share in SHARES:
            capacity = round(shape.objects * share)
            found = store.run("replay", trace=shape.path, entries=capacity)
            ratio = found["miss_ratio"] / found["lru_miss_ratio"]
            checks = []
            if capacity >= CAPACITY_MIN:
                logarithms.append(math.log(ratio))
                worst = max(worst, ratio)
                checks.append(Check("of LRU's misses", ratio, "<=", 1.04))
            yield Row(
                "Miss ratio at equal object counts, default policy", f"{shape.name}, {share:.1%} ({capacity} objects)",
                "misses/reads", {OURS: found["miss_ratio"], "exact LRU": found["lru_miss_ratio"]}, checks,
                samples={"replay": found})
    mean = math.exp(sum(logarithms) / len(logarithms))
    yield Row(
        "Miss ratio at equal object counts, default policy",
        f"geometric mean of {len(logarithms)} cells of {CAPACITY_MIN} objects or more", "of LRU",
        {OURS: mean, "exact LRU": 1.0},
        [Check("of LRU's misses", mean, "<=", 0.94), Check("of LRU's misses in the worst cell", worst, "<=", 1.04)])


def equal_bytes(shapes):
    """`size-aware` against exact LRU, both with a limit in bytes; ours pays its overhead out of it, LRU has none."""
    for shape in shapes:
        for share in (0.01, 0.1):
            capacity = round(shape.bytes * share)
            found = store.run("replay", trace=shape.path, bytes=capacity, eviction="size-aware")
            ratio = found["miss_ratio"] / found["lru_miss_ratio"]
            yield Row(
                "Miss ratio at equal bytes, size-aware", f"{shape.name}, {share:.0%} ({capacity:,} B)", "misses/reads",
                {OURS: found["miss_ratio"], "exact LRU": found["lru_miss_ratio"]},
                [Check("of LRU's misses", ratio, "<=", 0.85)], samples={"replay": found})


def equal_memory(shapes):
    """Look-aside over the socket, every server with the same limit: overhead per entry counts as it does in life."""
    for shape in shapes:
        data = shape.bytes or shape.objects * (100 + 8)
        limit = max(4, round(data * (0.1 if shape.bytes else 0.4) / 2**20))
        options = {"trace": shape.path, "pipeline": 16, "value_size": None if shape.bytes else 100}

        def misses(server):
            protocol = "memcached-meta" if server.name == "memcached" else server.protocol
            with server:
                found = generator.run(server, protocol=protocol, **options)
                return found["misses"] / (found["hits"] + found["misses"])

        values = memory.in_each(
            misses, lambda: NexusCache(max_memory=f"{limit}mb"),
            lambda: Redis(maxmemory=f"{limit}mb", maxmemory_policy="allkeys-lru"),
            lambda: Memcached(megabytes=limit))
        yield Row(
            "Miss ratio at equal memory, look-aside over the socket", f"{shape.name}, {limit} MB", "misses/reads",
            values, [], [f"{shape.name}: {'its own sizes' if shape.bytes else 'values of 100 B'}"])
