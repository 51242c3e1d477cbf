"""Clusters on this machine: what forwarding costs, CPU per operation beside Redis Cluster, formation, idle memory."""

import subprocess
import time

from . import fleets, generator, machine, speed
from .fleets import NexusCluster, RedisCluster
from .results import CLUSTER, OURS, Check, Row, median
from .servers import Missing, NexusCache, Redis

FORWARDED, OWN = "forwarded", "asked of the owner"
COPIED, SINGLE = "three copies", "one copy"
DEPTHS = (1, 16, 64)
# The one depth at which something is required of forwarding; at the others it is an aim.
REQUIRED_DEPTH = 16
FORWARDED_BOUND = 2.5
THREE_NODES_BOUND = 2.5
COPIES_BOUND = 2.5
FORMATION_SECONDS = {3: 1.0, 9: 3.0}


class View:
    """A server as the generator sees it: where it is asked, and whose CPU counts."""

    protocol = "resp"

    def __init__(self, name, asked, counted):
        self.name, self.port = name, asked and asked.port
        self.pids = [server.pid for server in counted]


def forwarding_cells(plan, wanted):
    """GETs of keys that another member has: both nodes' CPU, beside the owner asked directly, and nodes alone."""
    depths = [depth for depth in DEPTHS if wanted(f"cluster-forward{depth}")]
    if not depths:
        return
    with NexusCluster(2, max_memory="4gb") as cluster:
        door, owner = cluster.servers
        slots = cluster.slots_of(owner)
        alone = speed.start_all([lambda: NexusCache(max_memory="4gb"), Redis])
        try:
            for server in (owner, *alone):
                generator.load(server, plan.keys, slots=slots)
            views = [View(FORWARDED, door, cluster.servers), View(OWN, owner, cluster.servers)]
            views += [View(server.name, server, [server]) for server in alone]
            for depth in depths:
                yield forwarding_cell(plan, views, slots, depth)
        finally:
            for server in alone:
                server.stop()


def forwarding_cell(plan, views, slots, depth):
    settings = {
        "op": "get", "keys": plan.keys, "connections": 50, "pipeline": depth, "slots": slots, "spin": True,
        **plan.times,
    }
    samples = speed.measured(views, settings, plan.rounds, lambda _: {})
    remarks = [speed.latency_remark(samples), *speed.bottleneck_remarks(samples)]
    for name, runs in samples.items():
        lost = sum(run["misses"] + run["errors"] for run in runs)
        if lost:
            remarks.append(f"{name}: {lost:,} of {sum(run['operations'] for run in runs):,} GETs found nothing")
    values = speed.medians(samples)
    aim = depth != REQUIRED_DEPTH
    checks = [Check("times a node's local GET", values[FORWARDED] / values[OURS], "<=", FORWARDED_BOUND, aim)]
    if "redis" in values:
        checks.append(Check("times Redis's local GET", values[FORWARDED] / values["redis"], "<=", 1.0, aim))
    return Row(
        "Server CPU of a GET that another member answers: both nodes together",
        "no pipelining" if depth == 1 else f"pipeline {depth}", "us", values, checks, remarks,
        speed.compact(samples), section=CLUSTER)


def copies_cell(plan, wanted):
    """SETs of keys that two more members get copies of: the owner's CPU, beside nodes whose SETs nobody else gets."""
    if not wanted("cluster-copies16"):
        return
    with NexusCluster(3, max_memory="1gb", replicas=3) as cluster, NexusCluster(3, max_memory="1gb") as single:
        alone = speed.start_all([Redis])
        try:
            owners = [(COPIED, cluster), (SINGLE, single)]
            views = [
                (View(name, each.servers[0], each.servers[:1]), each.slots_of(each.servers[0])) for name, each in owners
            ]
            views += [(View(server.name, server, [server]), None) for server in alone]
            keys = plan.keys // 3
            settings = {"op": "set", "keys": keys, "connections": 50, "pipeline": 16, "spin": True, **plan.times}
            for view, slots in views:
                generator.load(view, keys, slots=slots)
            samples = {view.name: [] for view, _ in views}
            for _ in range(plan.rounds):
                for view, slots in views:
                    samples[view.name].append(generator.run(view, slots=slots, **settings))
        finally:
            for server in alone:
                server.stop()
    values = speed.medians(samples)
    checks = [Check("times a SET without copies", values[COPIED] / values[SINGLE], "<=", COPIES_BOUND)]
    if "redis" in values:
        checks.append(Check("times Redis's SET without replicas", values[COPIED] / values["redis"], "<=", 1.0))
    yield Row(
        "The owner's CPU of a SET that two more members get copies of", "pipeline 16", "us", values, checks,
        speed.bottleneck_remarks(samples), speed.compact(samples), section=CLUSTER)


def redis_benchmark(cluster, operation, requests, pipeline, keys_per_node):
    """One run of redis-benchmark, which routes by CLUSTER NODES: CPU of all nodes per operation, and the rate."""
    first = cluster.client_port(cluster.servers[0])
    command = [
        "redis-benchmark", "--cluster", "-p", str(first), "-t", operation, "-n", str(requests), "-c", "50",
        "-P", str(pipeline), "-r", str(keys_per_node), "-d", "32", "--csv",
    ]
    before = sum(machine.cpu_seconds(pid) for pid in cluster.pids)
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=machine.placed("generator"))
    seconds = time.monotonic() - started
    used = sum(machine.cpu_seconds(pid) for pid in cluster.pids) - before
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines or not lines[-1].startswith(f'"{operation.upper()}"'):
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()} {done.stdout.strip()[-500:]}")
    return {
        speed.CPU: used / requests * 1e6, "server_busy": used / seconds,
        "ops_per_second": float(lines[-1].split(",")[1].strip('"')),
    }


def routed(cluster, plan, operation, pipeline):
    """One run of our generator, which sends each key straight to its owner and outruns three servers on one core."""
    nodes = [f"{cluster.client_port(server)}={cluster.slots_of(server)}" for server in cluster.servers]
    return generator.run(
        View(cluster.name, None, cluster.servers), op=operation, keys=plan.keys // 3, connections=51,
        pipeline=pipeline, node=nodes, spin=True, **plan.times)


def three_node_cells(plan, wanted):
    """Three nodes each at pipeline 16, asked by redis-benchmark --cluster, and by a generator that never keeps them
    waiting."""
    ways = [
        (way, operation) for way in ("cluster-", "cluster-routed-") for operation in ("get", "set")
        if wanted(f"{way}{operation}16")
    ]
    if not ways:
        return
    clusters = []
    keys_per_node = plan.keys // 3
    try:
        for make in (lambda: NexusCluster(3, max_memory="2gb"), lambda: RedisCluster(3)):
            try:
                clusters.append(make().start())
            except Missing as missing:
                machine.note(f"{missing} is not installed: its columns are empty")
        for cluster in clusters:
            if any(way == "cluster-" for way, _ in ways):
                # Random writes: five times as many as there are keys leave less than 1% unwritten.
                redis_benchmark(cluster, "set", 5 * plan.keys, 64, keys_per_node)
            for server in cluster.servers:
                generator.load(server, keys_per_node, slots=cluster.slots_of(server))
        for way, operation in ways:
            samples = {cluster.name: [] for cluster in clusters}
            for _ in range(plan.rounds):
                for cluster in clusters:
                    if way == "cluster-":
                        run = redis_benchmark(cluster, operation, plan.cluster_requests, 16, keys_per_node)
                    else:
                        run = routed(cluster, plan, operation, 16)
                    samples[cluster.name].append(run)
            yield three_node_cell(way == "cluster-", operation, samples)
    finally:
        for cluster in clusters:
            cluster.stop()


def three_node_cell(by_redis_benchmark, operation, samples):
    values = speed.medians(samples)
    checks = []
    if "redis" in values and OURS in values:
        ratio = values["redis"] / values[OURS]
        checks.append(Check("times less than Redis Cluster", ratio, ">=", THREE_NODES_BOUND))
    rates = "; ".join(
        f"{name} {median([run['ops_per_second'] for run in runs]):,.0f}/s, "
        f"servers {median([run['server_busy'] for run in runs]):.0%} of a core" for name, runs in samples.items())
    asked_by = "`redis-benchmark --cluster`" if by_redis_benchmark else "`nexuscache bench --node`"
    return Row(
        "Server CPU per operation, three nodes together", f"{operation.upper()}, pipeline 16, {asked_by}", "us", values,
        checks, [rates], samples if by_redis_benchmark else speed.compact(samples), section=CLUSTER)


def formation_cells(plan, wanted):
    """Seconds from the start of the first process until every node is ready and knows all."""
    for size, bound in FORMATION_SECONDS.items():
        if not wanted(f"cluster-formation{size}"):
            continue
        samples = {}
        for _ in range(plan.formations):
            for make in (NexusCluster, RedisCluster):
                with fleets.if_installed(make, size, role="floating") as cluster:
                    if cluster:
                        samples.setdefault(cluster.name, []).append(cluster.formed_after)
        values = {name: median(seconds) for name, seconds in samples.items()}
        yield Row(
            "From the first process's start to a cluster that serves", f"{size} nodes", "s", values,
            [Check("seconds", values[OURS], "<=", bound)],
            [f"{name}: at most {max(seconds):.2f} s" for name, seconds in samples.items()], samples, section=CLUSTER)


def idle_member_cell(plan, wanted):
    """Resident memory of a node that nobody has asked anything, alone and as one of three."""
    if not wanted("cluster-idle"):
        return
    rows = {"a node by itself": {}, "one of three": {}}
    for make in (lambda: NexusCache(max_memory="1gb"), Redis):
        for server in speed.start_all([make]):
            try:
                time.sleep(plan.settle)
                rows["a node by itself"][server.name] = server.resident_bytes() / 2**20
            finally:
                server.stop()
    for make in (NexusCluster, RedisCluster):
        with fleets.if_installed(make, 3) as cluster:
            if cluster:
                time.sleep(plan.settle)
                rows["one of three"][cluster.name] = median(
                    [server.resident_bytes() / 2**20 for server in cluster.servers])
    for cell, values in rows.items():
        yield Row("Resident memory of an idle node", cell, "MiB", values, section=CLUSTER)
