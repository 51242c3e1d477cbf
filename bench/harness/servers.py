"""The servers under measurement: started on a free port of 127.0.0.1, pinned to the server's core, stopped by pid."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import machine

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(ROOT, "bench", "out")
NEXUSCACHE = os.path.abspath(os.environ.get("NEXUSCACHE", os.path.join(ROOT, ".build", "release", "nexuscache")))
FLOOR = os.path.join(OUT, "floor")

KEY_BYTES = 16
VALUE_BYTES = 32
GET_REQUEST = len("*2\r\n$3\r\nGET\r\n$16\r\n\r\n") + KEY_BYTES
SET_REQUEST = len("*3\r\n$3\r\nSET\r\n$16\r\n\r\n$32\r\n\r\n") + KEY_BYTES + VALUE_BYTES
# Ports of this run: none is given twice.
handed_out = set()


class Missing(Exception):
    """The program is not installed."""


def first_outgoing_port():
    """Where the ports begin that the kernel gives to outgoing connections and to whoever binds to port 0."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as bounds:
            return int(bounds.read().split()[0])
    except OSError:
        return 32_768


def is_free(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def free_ports(count):
    """Ports of 127.0.0.1 that nobody has, TCP and UDP, and that no connection will be given meanwhile."""
    found = []
    while len(found) < count:
        port = random.randrange(10_000, max(first_outgoing_port(), 20_000))
        if port not in handed_out and is_free(port):
            handed_out.add(port)
            found.append(port)
    return found


class Server:
    """One running server. `pid` is the process whose CPU and memory count."""

    name = None
    protocol = "resp"
    role = "server"
    started = []

    def __init__(self, **settings):
        self.settings = settings
        self.port = free_ports(1)[0]
        self.process = None
        self.folder = None

    def command(self):
        raise NotImplementedError

    def start(self):
        self.launch()
        self.wait_until_it_answers()
        return self

    def launch(self):
        """Starts the process, and does not wait for it."""
        command = self.command()
        if not (shutil.which(command[0]) or os.path.exists(command[0])):
            raise Missing(command[0])
        self.folder = tempfile.mkdtemp(prefix=f"bench-{self.name}-")
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            preexec_fn=machine.placed(self.role))
        Server.started.append(self)

    @property
    def pid(self):
        return self.process.pid

    @property
    def pids(self):
        return [self.pid]

    def wait_until_it_answers(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        text = self.log_text()
        self.stop()
        raise RuntimeError(f"{self.name} did not start: {' '.join(self.command())}\n{text}")

    def log_text(self):
        self.log.seek(0)
        return self.log.read().strip()

    def terminate(self):
        """Asks the process to end, and does not wait for it."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stop(self):
        if self in Server.started:
            Server.started.remove(self)
        if self.process and self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.folder:
            self.log.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def resident_bytes(self):
        return machine.resident_bytes(self.pid)

    def command_reply(self, *words):
        """One command over the Redis protocol: an integer, a string, or an exception."""
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
            request = f"*{len(words)}\r\n" + "".join(f"${len(str(word))}\r\n{word}\r\n" for word in words)
            connection.sendall(request.encode())
            reply = connection.makefile("rb")
            head = reply.readline().decode().strip()
            if head.startswith("-"):
                raise RuntimeError(f"{self.name}: {head[1:]}")
            if head.startswith("$"):
                return reply.read(int(head[1:])).decode()
            return int(head[1:]) if head.startswith(":") else head[1:]

    def entries(self):
        return self.command_reply("DBSIZE")


class NexusCache(Server):
    name = "nexuscache"

    def __init__(self, **settings):
        self.http = settings.pop("http", False)
        super().__init__(**settings)
        self.http_port = self.port if self.http else 0
        if self.http:
            self.protocol = "http"

    def command(self):
        command = [
            NEXUSCACHE, "serve", "--bind", "127.0.0.1", "--threads", "1", "--log-level", "warning",
            "--redis-port", str(0 if self.http else self.port), "--http-port", str(self.http_port),
        ]
        for name, value in self.settings.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        return command

    @staticmethod
    def version():
        return machine.first_line([NEXUSCACHE, "version"])


class Redis(Server):
    name = "redis"

    def command(self):
        command = [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--io-threads", "1", "--daemonize", "no", "--loglevel", "warning",
        ]
        for name, value in self.settings.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        return command

    @staticmethod
    def version():
        line = machine.first_line(["redis-server", "--version"])
        return line and "Redis " + re.search(r"v=(\S+)", line).group(1)


class Memcached(Server):
    name = "memcached"
    protocol = "memcached"

    def command(self):
        memory = self.settings.get("megabytes", 4096)
        connections = self.settings.get("connections", 4096)
        user = ["-u", "root"] if os.geteuid() == 0 else []
        return ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-t", "1", "-m", str(memory), "-c",
                str(connections), *user]

    def statistics(self):
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(b"stats\r\n")
            found = {}
            for line in connection.makefile("rb"):
                words = line.decode().split()
                if words[0] == "END":
                    return found
                found[words[1]] = words[2]

    def entries(self):
        return int(self.statistics()["curr_items"])

    @staticmethod
    def version():
        return machine.first_line(["memcached", "-V"])


class Nginx(Server):
    """One process without a master, answering a constant."""

    name = "nginx"
    protocol = "http"

    def command(self):
        return ["nginx", "-p", self.folder or ".", "-c", "nginx.conf"]

    def start(self):
        self.folder = tempfile.mkdtemp(prefix="bench-nginx-")
        with open(os.path.join(self.folder, "nginx.conf"), "w") as configuration:
            configuration.write(f"""
                daemon off; master_process off; worker_processes 1;
                pid {self.folder}/pid; error_log {self.folder}/error.log crit;
                events {{ worker_connections 4096; }}
                http {{
                  access_log off; keepalive_requests 1000000000; keepalive_timeout 600;
                  client_body_temp_path {self.folder}/a; proxy_temp_path {self.folder}/b;
                  fastcgi_temp_path {self.folder}/c; uwsgi_temp_path {self.folder}/d; scgi_temp_path {self.folder}/e;
                  default_type application/octet-stream;
                  server {{
                    listen 127.0.0.1:{self.port};
                    location / {{ return 200 "{'x' * VALUE_BYTES}"; }}
                  }}
                }}""")
        if not shutil.which("nginx"):
            raise Missing("nginx")
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.process = subprocess.Popen(
            self.command(), stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            preexec_fn=machine.placed("server"))
        Server.started.append(self)
        self.wait_until_it_answers()
        return self

    @staticmethod
    def version():
        line = machine.first_line(["nginx", "-v"])
        return line and line.replace("nginx version: ", "")


class Floor(Server):
    """Parses nothing: a constant for every so many bytes."""

    name = "floor"

    def command(self):
        if self.settings["shape"] == "get":
            return [FLOOR, str(self.port), str(GET_REQUEST), f"${VALUE_BYTES}\\r\\n{'x' * VALUE_BYTES}\\r\\n"]
        return [FLOOR, str(self.port), str(SET_REQUEST), "+OK\\r\\n"]


def build_floor():
    os.makedirs(OUT, exist_ok=True)
    source = os.path.join(ROOT, "bench", "floor", "floor.c")
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    subprocess.run([compiler, "-O2", "-o", FLOOR, source], check=True)


def stop_all():
    for server in list(Server.started):
        server.stop()
