"""Origins behind nodes: what reaches them, and what those who wait and those who do not wait notice of it."""

import os
import re
import socket
import sqlite3
import tempfile
import threading
import time
import urllib.request

from . import generator, machine
from .fleets import NexusCluster
from .results import OURS, Check, Row, median
from .servers import NexusCache

GROUP = "Origins"
CROWD, CROWD_CONNECTIONS = 10_000, 100
ABSENT_KEYS, ABSENT_ROUNDS = 100_000, 10
BOUNDARY_RATE = 50_000
# As `nexuscache bench` writes the number 0.
HOT_KEY = "key:000000000000"
HANG_SECONDS = 1.0


class CountingOrigin:
    """An HTTP origin: counts its calls, and answers each when it may: after `delay` seconds, or never."""

    def __init__(self, delay=0.0, hangs=False):
        self.delay, self.hangs = delay, hangs
        self.calls = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        requests = connection.makefile("rb")
        try:
            while requests.readline().strip():
                while requests.readline().strip():
                    pass
                with self.lock:
                    self.calls += 1
                if self.hangs:
                    requests.read()
                    return
                time.sleep(self.delay)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n" + b"v" * 32)
        except OSError:
            pass
        finally:
            connection.close()

    def url(self, options):
        return f"http://127.0.0.1:{self.port}/{{key}}#{options}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


class Asking:
    """A connection with pipelined GETs on it, whose answers are taken later."""

    def __init__(self, port, keys, first=()):
        self.count = len(keys)
        self.connection = socket.create_connection(("127.0.0.1", port), 30)
        self.reply = self.connection.makefile("rb", 1 << 16)
        for words in first:
            self.connection.sendall(encoded(words))
            self.reply.readline()
        self.sender = threading.Thread(
            target=self.connection.sendall, args=(b"".join(encoded(("GET", key)) for key in keys),), daemon=True)
        self.sender.start()

    def answers(self):
        """How many values, absences and errors came."""
        values = absences = errors = 0
        for _ in range(self.count):
            head = self.reply.readline()
            if head[:1] == b"$" and head[1:2] != b"-":
                self.reply.read(int(head[1:]) + 2)
                values += 1
            elif head[:1] == b"-":
                errors += 1
            else:
                absences += 1
        self.sender.join()
        self.connection.close()
        return values, absences, errors


def encoded(words):
    return (f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)).encode()


def figure(port, name):
    """A metric, over all of its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        text = page.read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))


def cells(plan, wanted):
    for name, cell in (
        ("filling-cold", cold_cell), ("filling-boundary", boundary_cell), ("filling-absent", absent_cell),
        ("filling-hang", hang_cell),
    ):
        if wanted(name):
            yield from cell(plan)


def cold_cell(plan):
    """Many requests of one key that nobody has loaded, through three nodes, before the origin has answered."""
    calls = []
    for _ in range(plan.rounds):
        with CountingOrigin(delay=1.0) as origin:
            settings = {"origin": origin.url("timeout=10s&retries=0"), "forward_timeout": "20s"}
            with NexusCluster(3, **settings) as cluster:
                cluster.settle()
                each = CROWD // CROWD_CONNECTIONS
                asking = [
                    Asking(cluster.servers[index % 3].port, [HOT_KEY] * each) for index in range(CROWD_CONNECTIONS)
                ]
                values = sum(one.answers()[0] for one in asking)
                calls.append(origin.calls)
                if values != CROWD:
                    machine.note(f"filling-cold: {CROWD - values} of {CROWD} requests were not answered with the value")
    yield Row(
        GROUP, f"{CROWD:,} requests of one cold key over three nodes, {len(calls)} times",
        "calls of the origin at most", {OURS: max(calls)}, [Check("calls", max(calls), "<=", 1)], [], {OURS: calls})


def boundary_cell(plan):
    """A hot key that ends again and again under a fixed rate of reads, beside one that never ends."""
    load = {
        "op": "get", "keys": 1, "connections": 50, "rate": BOUNDARY_RATE, "duration": "3s" if plan.quick else "10s",
        "warm_up": "1s", "spin": True,
    }
    ratios, per_refresh, plain, stale = [], [], [], []
    with CountingOrigin(delay=0.02) as origin:
        options = {"default_ttl": "500ms", "stale_while_revalidate": "10s"}
        filled = NexusCache(origin=origin.url("timeout=5s&retries=0"), **options)
        with filled, NexusCache() as constant:
            filled.command_reply("GET", HOT_KEY)
            generator.load(constant, 1)
            for _ in range(plan.rounds):
                without = generator.run(constant, **load)
                before, started = origin.calls, time.monotonic()
                during = generator.run(filled, **load)
                seconds = time.monotonic() - started
                # A refresh can begin when the TTL is over, and takes as long as the origin does.
                most = seconds / (0.5 + origin.delay) + 1
                per_refresh.append((origin.calls - before) / most)
                plain.append(without["p999_us"])
                stale.append(during["p999_us"])
                ratios.append(during["p999_us"] / without["p999_us"])
                if during["errors"] or during["misses"]:
                    machine.note(f"filling-boundary: {during['errors']} errors, {during['misses']} misses")
    rate = f"{BOUNDARY_RATE:,} reads/s"
    yield Row(
        GROUP, f"calls per refresh of a hot key at {rate}", "calls", {OURS: max(per_refresh)},
        [Check("calls per refresh", max(per_refresh), "<=", 1)], [], {OURS: per_refresh})
    yield Row(
        GROUP, f"p99.9 of these reads", "us", {OURS: median(stale), "a plain hit": median(plain)},
        [Check("times a plain hit's", median(ratios), "<=", 1.5)], [], {OURS: stale, "plain": plain})


def absent_cell(plan):
    """Keys that the origin does not have, each asked again and again through all of three nodes."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "origin.db")
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE scores (key TEXT PRIMARY KEY, value TEXT)")
        origin = f"sqlite:{path}?query=SELECT value FROM scores WHERE key = ?&queue=200000&timeout=60s"
        settings = {"origin": origin, "absent_ttl": "1h", "forward_timeout": "60s"}
        with NexusCluster(3, **settings) as cluster:
            cluster.settle()
            keys = [f"absent{number}" for number in range(ABSENT_KEYS)]
            absences, started = 0, time.monotonic()
            for number in range(ABSENT_ROUNDS):
                asking = [
                    Asking(server.port, keys[(index + number) % 3::3]) for index, server in enumerate(cluster.servers)
                ]
                absences += sum(one.answers()[1] for one in asking)
            seconds = time.monotonic() - started
            calls = sum(figure(server.http_port, "nexuscache_origin_loads_total") for server in cluster.servers)
    if absences != ABSENT_KEYS * ABSENT_ROUNDS:
        machine.note(f"filling-absent: {ABSENT_KEYS * ABSENT_ROUNDS - absences} requests were answered otherwise")
    yield Row(
        GROUP, f"{ABSENT_KEYS:,} absent keys, each asked {ABSENT_ROUNDS} times over three nodes", "calls of the origin",
        {OURS: calls}, [Check("calls", calls, "<=", ABSENT_KEYS)], [f"all answered after {seconds:.1f} s"])


def hang_cell(plan):
    """Waiters on an origin that hangs, and what another namespace's clients notice."""
    load = {
        "op": "get", "keys": 10_000, "connections": 50, "rate": 20_000, "duration": "3s", "warm_up": "300ms",
        "spin": True,
    }
    calm, meanwhile, longest, unanswered = [], [], [], 0
    with CountingOrigin(hangs=True) as origin:
        options = f"timeout={HANG_SECONDS:g}s&retries=0&breaker-failures=0"
        with NexusCache(namespace=f"slow:origin={origin.url(options)}") as server:
            generator.load(server, 10_000)
            for _ in range(plan.rounds):
                calm.append(generator.run(server, **load)["p99_us"])
                stop = threading.Event()
                waits = []

                def wait():
                    number = 0
                    while not stop.is_set():
                        asked = time.monotonic()
                        number += 1
                        keys = [f"s{number}-{index}" for index in range(500)]
                        asking = Asking(server.port, keys, [("SELECT", "slow")])
                        waits.append((asking.answers()[2], time.monotonic() - asked))

                waiter = threading.Thread(target=wait)
                waiter.start()
                meanwhile.append(generator.run(server, **load)["p99_us"])
                stop.set()
                waiter.join()
                longest += [seconds for _, seconds in waits]
                unanswered += sum(500 - errors for errors, _ in waits)
    if unanswered:
        machine.note(f"filling-hang: {unanswered} waiters were not told of the failure")
    yield Row(
        GROUP, "500 waiters on an origin that hangs, with a second's deadline: the last answer", "s",
        {OURS: max(longest)}, [Check("seconds", max(longest), "<=", HANG_SECONDS + 0.25)])
    ratio = median(meanwhile) / median(calm)
    yield Row(
        GROUP, "p99 of another namespace's reads meanwhile, 20,000/s", "us",
        {OURS: median(meanwhile), "without waiters": median(calm)},
        [Check("times that without waiters", ratio, "<=", 1.2)], [], {OURS: meanwhile, "without": calm})
