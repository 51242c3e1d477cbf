"""Server CPU per operation, side by side: rounds A B C A B C, medians."""

from . import generator, machine
from .results import OURS, Check, Row, median
from .servers import Floor, Memcached, Missing, Nginx, NexusCache, Redis

CPU = "server_cpu_us_per_op"
# Times less than Redis, and times the floor, by pipeline depth.
REDIS_BOUNDS = {1: 1.15, 16: 2.8, 64: 5.0}
FLOOR_BOUNDS = {1: 1.15, 16: 1.3, 64: 1.4}


def start_all(factories):
    """Starts what is installed."""
    running = []
    for factory in factories:
        try:
            running.append(factory().start())
        except Missing as missing:
            machine.note(f"{missing} is not installed: its columns are empty")
    return running


def measured(servers, plan, rounds, options_for):
    """Runs every server once per round, in turn; answers samples by server name."""
    samples = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            samples[server.name].append(generator.run(server, **plan, **options_for(server)))
    return samples


def medians(samples, key=CPU):
    return {name: median([run[key] for run in runs]) for name, runs in samples.items()}


def latency_remark(samples):
    parts = []
    for name, runs in samples.items():
        rate = median([run["ops_per_second"] for run in runs])
        p50, p99, p999 = (median([run[key] for run in runs]) for key in ("p50_us", "p99_us", "p999_us"))
        parts.append(f"{name} {rate:,.0f}/s, p50/p99/p99.9 {p50:.0f}/{p99:.0f}/{p999:.0f} us")
    return "; ".join(parts)


def bottleneck_remarks(samples):
    """Where the generator was the busier process, the rate is the generator's (CPU per operation still counts)."""
    remarks = []
    for name, runs in samples.items():
        generator_busy = median([run["generator_busy"] for run in runs])
        server_busy = median([run["server_busy"] for run in runs])
        if generator_busy > server_busy + 0.03:
            remarks.append(
                f"{name}: the generator was busier ({generator_busy:.0%}) than the server ({server_busy:.0%}): "
                "the rate is the generator's")
    return remarks


def compact(samples):
    keep = (
        CPU, "server_tick_us_per_op", "ops_per_second", "p50_us", "p99_us", "p999_us", "generator_busy", "server_busy")
    return {name: [{key: run[key] for key in keep} for run in runs] for name, runs in samples.items()}


def against_peers(ours, values, pipeline):
    checks = []
    if "redis" in values:
        checks.append(Check("times less than Redis", values["redis"] / ours, ">=", REDIS_BOUNDS[pipeline]))
    if "memcached" in values:
        checks.append(Check("times less than memcached", values["memcached"] / ours, ">=", 1.0))
    if "floor" in values:
        checks.append(Check("times the floor", ours / values["floor"], "<=", FLOOR_BOUNDS[pipeline], aim=True))
    return checks


def redis_protocol_cells(plan, wanted):
    """GET and SET at pipeline 1, 16 and 64: 1M keys of 16 B, values of 32 B, 50 connections."""
    for operation in ("get", "set"):
        depths = [depth for depth in (1, 16, 64) if wanted(f"{operation}{depth}")]
        if not depths:
            continue
        servers = start_all([
            lambda: NexusCache(max_memory="4gb"), Redis, Memcached, lambda: Floor(shape=operation)])
        try:
            for server in servers:
                if server.name != "floor":
                    generator.load(server, plan.keys)
            for depth in depths:
                yield redis_protocol_cell(plan, servers, operation, depth)
        finally:
            for server in servers:
                server.stop()


def redis_protocol_cell(plan, servers, operation, depth):
    def options_for(server):
        if server.name == "memcached" and operation == "get":
            # Pipelined gets cost memcached a send each: its own way of reading many keys is the multi-get.
            return {"batch": depth, "pipeline": 1}
        return {"pipeline": depth}

    settings = {"op": operation, "keys": plan.keys, "connections": 50, "spin": True, **plan.times}
    samples = measured(servers, settings, plan.rounds, options_for)
    values = medians(samples)
    checks = against_peers(values[OURS], values, depth) if OURS in values else []
    title = f"{operation.upper()}, " + ("no pipelining" if depth == 1 else f"pipeline {depth}")
    return Row(
        "Server CPU per operation, Redis protocol (memcached: its own, multi-get)", title, "us", values, checks,
        [latency_remark(samples), *bottleneck_remarks(samples)], compact(samples))


def http_cell(plan, wanted):
    """GET of a 32 B value over HTTP, against nginx answering a constant."""
    if not wanted("http"):
        return
    servers = start_all([lambda: NexusCache(http=True, max_memory="1gb"), Nginx])
    try:
        for server in servers:
            if server.name == OURS:
                generator.load(server, plan.http_keys, pipeline=1)
        settings = {"op": "get", "keys": plan.http_keys, "connections": 50, "spin": True, **plan.times}
        samples = measured(servers, settings, plan.rounds, lambda server: {"pipeline": 1})
    finally:
        for server in servers:
            server.stop()
    values = medians(samples)
    checks = []
    if OURS in values and "nginx" in values:
        checks.append(Check("times nginx", values[OURS] / values["nginx"], "<=", 1.1))
    yield Row(
        "Server CPU per request, HTTP", "GET, no pipelining", "us", values, checks,
        [latency_remark(samples), *bottleneck_remarks(samples)], compact(samples))


def scale_cell(plan, wanted):
    """CPU per GET at pipeline 64 with many keys against few."""
    if not wanted("scale"):
        return
    sizes = {"100K keys": 100_000, f"{plan.many_keys // 1_000_000}M keys": plan.many_keys}
    servers, counts = [], {}
    try:
        for label, keys in sizes.items():
            server = NexusCache(max_memory="8gb").start()
            servers.append(server)
            server.name = label
            counts[label] = keys
            generator.load(server, keys)
        settings = {"op": "get", "pipeline": 64, "connections": 50, "spin": True, **plan.times}
        samples = measured(servers, settings, plan.rounds, lambda server: {"keys": counts[server.name]})
    finally:
        for server in servers:
            server.stop()
    values = medians(samples)
    few, many = values.values()
    yield Row(
        "Server CPU per operation as the keys grow", "GET, pipeline 64", "us", values,
        [Check("times as much with many keys", many / few, "<=", 1.6)], bottleneck_remarks(samples), compact(samples))
