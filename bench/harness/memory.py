"""Bytes: per entry, per idle connection, and entries kept under a limit."""

import socket
import time

from . import generator, machine
from .results import OURS, Check, Row
from .servers import KEY_BYTES, VALUE_BYTES, Memcached, Missing, NexusCache, Redis

DATA = KEY_BYTES + VALUE_BYTES
TTL = "3600s-7200s"
PER_ENTRY = "Resident bytes per entry beyond key and value"


def in_each(measure, *makers):
    """What `measure` answers for each server that is installed, by the server's name."""
    values = {}
    for make in makers:
        server = make()
        try:
            values[server.name] = measure(server)
        except Missing as missing:
            machine.note(f"{missing} is not installed: its columns are empty")
    return values


def overhead(server, keys, data, **options):
    """Resident bytes per entry beyond keys and values, after writing `keys` entries into a fresh server."""
    with server:
        before = server.resident_bytes()
        generator.load(server, keys, **options)
        time.sleep(0.5)
        held = server.entries()
        if held < keys * 0.999:
            machine.note(f"{server.name} holds {held:,} of {keys:,} entries: its bytes per entry are of those")
        return (server.resident_bytes() - before) / held - data


def entry_cells(plan, wanted):
    for cell, options, bound in (("without TTL", {}, 22), ("with TTL", {"ttl": TTL}, 28)):
        if not wanted("entry"):
            continue
        ours = overhead(NexusCache(max_memory="8gb"), plan.many_keys, DATA, **options)
        values = {OURS: ours}
        values.update(in_each(lambda server: overhead(server, plan.keys, DATA, **options), Redis, Memcached))
        yield Row(
            PER_ENTRY, f"{DATA} B entries {cell}", "B", values, [Check("bytes", ours, "<=", bound)],
            [f"{OURS} with {plan.many_keys:,} entries, the others with {plan.keys:,}"])
    if wanted("sizes"):
        smallest, largest = 1, 2000
        data = KEY_BYTES + (smallest + largest) / 2
        values = in_each(
            lambda server: overhead(server, plan.keys, data, value_size=f"{smallest}-{largest}"),
            lambda: NexusCache(max_memory="8gb"), Redis, Memcached)
        yield Row(
            PER_ENTRY, f"random values of {smallest}-{largest} B", "B", values,
            [Check("bytes", values[OURS], "<=", 22 + 0.06 * data)],
            [f"{plan.keys:,} entries, {data:,.0f} B of data each on average"])


def limit_cell(plan, wanted):
    """Entries kept under 64 MB, after writing far more than fit."""
    if not wanted("limit"):
        return

    def kept(server):
        with server:
            generator.load(server, plan.limit_writes)
            return server.entries()

    values = in_each(
        kept, lambda: NexusCache(max_memory="64mb"),
        lambda: Redis(maxmemory="64mb", maxmemory_policy="allkeys-lru"), lambda: Memcached(megabytes=64))
    checks = [
        Check(f"times {name}", values[OURS] / values[name], ">=", bound)
        for name, bound in (("redis", 2.0), ("memcached", 1.7)) if name in values
    ]
    yield Row(
        "Entries kept under a limit of 64 MB", f"{DATA} B entries, {plan.limit_writes / 1e6:.0f}M written", "entries",
        values, checks)


def idle_bytes(server, count):
    """Resident bytes per connection that has spoken once and is idle now."""
    hello = b"version\r\n" if server.protocol == "memcached" else b"*1\r\n$4\r\nPING\r\n"
    connections = []

    def open_one():
        connections.append(socket.create_connection(("127.0.0.1", server.port), 10))
        connections[-1].sendall(hello)
        if not connections[-1].recv(256):
            raise RuntimeError(f"{server.name} closed connection number {len(connections)}")

    with server:
        try:
            # What the first connections allocate once is not counted.
            for _ in range(10):
                open_one()
            before = server.resident_bytes()
            for _ in range(count):
                open_one()
            time.sleep(0.5)
            return (server.resident_bytes() - before) / count
        finally:
            for connection in connections:
                connection.close()


def idle_cell(plan, wanted):
    if not wanted("idle"):
        return
    count = plan.idle_connections
    values = in_each(
        lambda server: idle_bytes(server, count), lambda: NexusCache(max_clients=count + 1000, max_memory="1gb"),
        lambda: Redis(maxclients=count + 1000), lambda: Memcached(connections=count + 1000))
    yield Row(
        "Resident bytes per idle connection", f"{count:,} connections", "B", values,
        [Check("bytes", values[OURS], "<=", 2048)])
