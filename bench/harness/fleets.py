"""Several servers that are one cluster, on loopback, in temporary folders, ended with the measurement."""

import contextlib
import http.client
import json
import subprocess
import time

from . import machine
from .servers import Missing, NexusCache, Redis, free_ports

PATIENCE_SECONDS = 30


class Member(NexusCache):
    """A node of a NexusCache cluster: `port` forwards, `cluster_port` answers MOVED."""

    def __init__(self, node_id, join, **settings):
        super().__init__(**settings)
        self.node_id, self.join = node_id, join
        self.port, self.http_port, self.peer_port, self.cluster_port = free_ports(4)

    def command(self):
        command = super().command() + [
            "--node-id", self.node_id, "--peer-port", str(self.peer_port), "--cluster-port", str(self.cluster_port),
            "--cluster-secret", "benchmark",
        ]
        return command + (["--join", f"127.0.0.1:{self.join.peer_port}"] if self.join else [])

    def ask(self, path):
        """Status and JSON of a GET; status 0 while nobody listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=5)
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            body = reply.read()
            return reply.status, json.loads(body) if body[:1] == b"{" else {}
        except (OSError, http.client.HTTPException):
            return 0, {}
        finally:
            connection.close()

    def knows(self, size):
        """This node is ready, and knows as many live members."""
        if self.ask("/health/ready")[0] != 200:
            return False
        members = self.ask("/v1/cluster/state")[1].get("members", [])
        return sum(member["status"] == "alive" for member in members) == size


class Fleet:
    """A cluster. `formed_after`: seconds from the first process's start until every node serves and knows all."""

    name = None

    def __init__(self, role):
        self.role = role
        self.servers = []
        self.formed_after = None

    @property
    def pids(self):
        return [server.pid for server in self.servers]

    def client_port(self, server):
        """Where a cluster client asks this node."""
        return server.port

    def slots_of(self, server):
        """As `nexuscache bench --slots` takes them."""
        raise NotImplementedError

    def start(self):
        started = time.monotonic()
        try:
            for server in self.servers:
                server.role = self.role
                server.launch()
            self.form()
        except BaseException:
            self.stop()
            raise
        self.formed_after = time.monotonic() - started
        try:
            self.settle()
        except BaseException:
            self.stop()
            raise
        return self

    def form(self):
        raise NotImplementedError

    def settle(self):
        """Waits for what goes on in the background after formation."""

    def until(self, what, is_true, servers=None):
        """Waits until `is_true` of every node. One that is through is not asked again."""
        waiting = list(servers or self.servers)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while waiting:
            waiting = [server for server in waiting if not is_true(server)]
            for server in waiting:
                if server.process.poll() is not None:
                    raise RuntimeError(f"{server.name} ended: {server.log_text()}")
            if waiting and time.monotonic() > deadline:
                raise RuntimeError(
                    f"{self.name}: {len(waiting)} of {len(self.servers)} nodes are not {what} after "
                    f"{PATIENCE_SECONDS} s: {waiting[0].log_text()}")
            if waiting:
                time.sleep(0.01)

    def stop(self):
        for server in self.servers:
            server.terminate()
        for server in self.servers:
            server.stop()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class NexusCluster(Fleet):
    name = NexusCache.name

    def __init__(self, size, role="server", **settings):
        super().__init__(role)
        for number in range(size):
            first = self.servers[0] if self.servers else None
            self.servers.append(Member(f"node{number + 1}", first, **{"max_memory": "1gb", **settings}))

    def client_port(self, server):
        return server.cluster_port

    def form(self):
        self.until("ready", lambda member: member.knows(len(self.servers)))

    def settle(self):
        """Until every slot has one member that executes it and nothing is on its way."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            states = [member.ask("/v1/cluster/state")[1] for member in self.servers]
            moving = sum(state.get("slots_incoming", 1) + state.get("slots_outgoing", 1) for state in states)
            executed = [state.get("slots_executed", 0) for state in states]
            if moving == 0 and min(executed) > 0 and sum(executed) == 16_384:
                return
            time.sleep(0.02)
        raise RuntimeError(f"the slots do not come to rest: {executed} executed, {moving} on their way")

    def slots_of(self, member):
        ranges = self.servers[0].ask("/v1/cluster/slots")[1]["slots"]
        return ",".join(f"{run['first']}-{run['last']}" for run in ranges if run["runs_on"] == member.node_id)


class RedisCluster(Fleet):
    """Masters without replicas, put together by redis-cli."""

    name = Redis.name

    def __init__(self, size, role="server", **settings):
        super().__init__(role)
        for _ in range(size):
            port, bus = free_ports(2)
            server = Redis(cluster_enabled="yes", cluster_port=bus, **settings)
            server.port = port
            self.servers.append(server)

    def form(self):
        for server in self.servers:
            server.wait_until_it_answers()
        addresses = [f"127.0.0.1:{server.port}" for server in self.servers]
        command = ["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas", "0", "--cluster-yes"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout[-500:]}{done.stderr}")
        self.until("ok", lambda server: "cluster_state:ok" in server.command_reply("CLUSTER", "INFO"))

    def slots_of(self, server):
        lines = server.command_reply("CLUSTER", "NODES").splitlines()
        own = next(line.split() for line in lines if "myself" in line)
        return ",".join(word for word in own[8:] if not word.startswith("["))


@contextlib.contextmanager
def if_installed(make, *arguments, **options):
    """The cluster, started, or None where its program is not installed."""
    try:
        cluster = make(*arguments, **options).start()
    except Missing as missing:
        machine.note(f"{missing} is not installed: its columns are empty")
        yield None
        return
    try:
        yield cluster
    finally:
        cluster.stop()
