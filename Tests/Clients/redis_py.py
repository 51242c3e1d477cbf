"""redis-py, as its users use it: redis_py.py PORT [UNIX_SOCKET]."""

import sys
import threading
import time

import redis
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.connection import CacheProxyConnection
from redis.retry import Retry

from stories import run, story

PORT = int(sys.argv[1])
UNIX_SOCKET = sys.argv[2] if len(sys.argv) > 2 else None


def make_client(protocol, **more):
    return redis.Redis(port=PORT, protocol=protocol, socket_timeout=10, retry=Retry(NoBackoff(), 0), **more)


def subscriber(r, **more):
    """A pub/sub that does not log every message, as RESP3's default handler does."""
    if r.connection_pool.connection_kwargs["protocol"] == 3:
        more["push_handler_func"] = lambda message: message
    return r.pubsub(**more)


@story
def strings_keep_every_byte(r):
    assert r.set("k", b"\x00\r\n\xff") is True
    assert r.get("k") == b"\x00\r\n\xff"
    assert r.get("missing") is None
    assert r.set("k", "new", nx=True) is None
    assert r.set("k", "new", xx=True, get=True) == b"\x00\r\n\xff"
    assert r.getrange("k", 0, 1) == b"ne"
    assert r.append("k", "er") == 5
    assert r.strlen("k") == 5
    assert r.mset({"a": 1, "b": 2}) is True
    assert r.mget("a", "b", "missing") == [b"1", b"2", None]
    assert r.getdel("a") == b"1"
    assert r.setrange("b", 3, "x") == 4
    assert r.lcs("k", "b") == b""


@story
def namespaces_are_chosen_by_name(r):
    protocol = r.connection_pool.connection_kwargs["protocol"]
    assert r.config_set("namespace", "py.scores:default-ttl=1h")
    with r.client() as one:
        assert one.execute_command("SELECT", "py.scores") in (True, b"OK")
        one.set("k", "in scores")
        assert 3500 < one.ttl("k") <= 3600
        info = one.client_info()
        assert info["db"] >= 16 and info["user"] == "py.scores"
        one.execute_command("SELECT", 0)
    assert any(client["user"] == "default" for client in r.client_list())
    assert r.exists("k") == 0
    user = make_client(protocol, username="py.scores", password="any")
    assert user.get("k") == b"in scores"
    assert user.acl_whoami() in ("py.scores", b"py.scores")
    keyspace = r.info("keyspace")
    assert keyspace["ns_py.scores"] == {"keys": 1, "expires": 1}
    with user.pipeline() as p:
        p.watch("k")
        p.multi()
        p.append("k", "!")
        p.get("k")
        assert p.execute() == [10, b"in scores!"]
    assert user.flushdb() is True
    assert "ns_py.scores" not in r.info("keyspace")
    user.close()


@story
def counters_count(r):
    assert r.incr("n") == 1
    assert r.incrby("n", 41) == 42
    assert r.decr("n", 2) == 40
    assert r.incrbyfloat("f", 1.5) == 1.5
    try:
        r.set("text", "abc")
        r.incr("text")
        assert False
    except redis.ResponseError as error:
        assert "not an integer" in str(error)


@story
def expiry_is_seen_and_happens(r):
    r.set("k", "v", ex=100)
    assert 98 <= r.ttl("k") <= 100
    assert r.persist("k") is True
    assert r.ttl("k") == -1
    assert r.ttl("missing") == -2
    assert r.pexpire("k", 30) is True
    deadline = time.monotonic() + 5
    while r.exists("k") and time.monotonic() < deadline:
        time.sleep(0.005)
    assert r.get("k") is None
    r.set("k", "v")
    assert r.expire("k", 10, nx=True) is True
    assert r.expire("k", 20, nx=True) is False
    assert r.expireat("k", int(time.time()) + 50, gt=True) is True
    assert r.getex("k", persist=True) == b"v"


@story
def bits_are_set_and_counted(r):
    assert r.setbit("bits", 7, 1) == 0
    assert r.getbit("bits", 7) == 1
    assert r.bitcount("bits") == 1
    assert r.bitpos("bits", 1) == 7
    assert r.bitop("NOT", "inverse", "bits") == 1
    assert r.get("inverse") == b"\xfe"
    assert r.bitfield("field").set("u8", 0, 200).incrby("u8", 0, 100, "SAT").execute() == [0, 255]


@story
def keys_are_walked(r):
    names = {f"walk:{i}".encode() for i in range(1000)}
    r.mset({name: 1 for name in names})
    assert set(r.scan_iter(match="walk:*", count=37)) == names
    assert set(r.keys("walk:99*")) == {f"walk:99{i}".encode() for i in range(10)} | {b"walk:99"}
    assert r.randomkey() in names
    assert r.dbsize() == 1000
    assert r.delete(*names) == 1000
    assert r.dbsize() == 0


@story
def keys_are_renamed_copied_and_moved(r):
    r.set("a", 1)
    assert r.rename("a", "b") is True
    assert r.copy("b", "c") is True
    assert r.renamenx("b", "c") is False
    assert r.touch("b", "c", "d") == 2
    assert r.type("b") == b"string"
    assert r.move("b", 1) is True
    with make_client(2, db=1) as other:
        assert other.get("b") == b"1"
        assert other.swapdb(0, 1) is True
    assert r.get("b") == b"1"
    assert r.object("encoding", "b") == b"int"
    assert r.memory_usage("b") > 0


@story
def pipelines_answer_in_order(r):
    with r.pipeline(transaction=False) as pipe:
        for number in range(10_000):
            pipe.set(f"p:{number}", number)
        assert all(pipe.execute())
    with r.pipeline(transaction=False) as pipe:
        for number in range(10_000):
            pipe.get(f"p:{number}")
        assert pipe.execute() == [str(number).encode() for number in range(10_000)]


@story
def a_transaction_is_whole(r):
    with r.pipeline() as pipe:
        pipe.set("a", 1).incr("a").get("a").echo("x")
        assert pipe.execute() == [True, 2, b"2", b"x"]
    with r.pipeline() as pipe:
        pipe.set("text", "abc").incr("text").get("text")
        results = pipe.execute(raise_on_error=False)
        assert isinstance(results[1], redis.ResponseError) and results[2] == b"abc"


@story
def a_watched_key_stops_the_transaction(r):
    r.set("balance", 100)
    with r.pipeline() as pipe:
        pipe.watch("balance")
        r.set("balance", 50)
        pipe.multi()
        pipe.set("balance", 0)
        try:
            pipe.execute()
            assert False
        except redis.WatchError:
            pass
    assert r.get("balance") == b"50"

    def spend(pipe):
        left = int(pipe.get("balance"))
        pipe.multi()
        pipe.set("balance", left - 10)

    assert r.transaction(spend, "balance") == [True]
    assert r.get("balance") == b"40"


@story
def many_clients_count_together(r):
    def work():
        with make_client(2) as mine:
            for _ in range(200):
                mine.transaction(lambda pipe: increment(pipe), "shared")

    def increment(pipe):
        value = int(pipe.get("shared") or 0)
        pipe.multi()
        pipe.set("shared", value + 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert r.get("shared") == b"800"


@story
def a_lock_excludes(r):
    # Lock.release runs a Lua script; a lock is let go here as the documentation of SET did it before there were any.
    lock = r.lock("lock", timeout=10, blocking=False)
    assert lock.acquire() is True
    assert lock.locked() and lock.owned()
    assert r.lock("lock", blocking=False).acquire() is False
    assert 9 <= r.ttl("lock") <= 10

    def release(pipe):
        held = pipe.get("lock") == lock.local.token
        pipe.multi()
        if held:
            pipe.delete("lock")

    assert r.transaction(release, "lock") == [1]
    assert r.lock("lock", blocking=False).acquire() is True


@story
def messages_reach_their_subscribers(r):
    pubsub = subscriber(r)
    pubsub.subscribe("news", "other")
    pubsub.psubscribe("n*")
    confirmations = [pubsub.get_message(timeout=5)["type"] for _ in range(3)]
    assert confirmations == ["subscribe", "subscribe", "psubscribe"]
    assert r.pubsub_channels() and r.pubsub_numpat() == 1
    assert r.pubsub_numsub("news", "nobody") == [(b"news", 1), (b"nobody", 0)]
    assert r.publish("news", "hello") == 2
    received = [pubsub.get_message(timeout=5) for _ in range(2)]
    assert {message["type"] for message in received} == {"message", "pmessage"}
    assert all(message["data"] == b"hello" for message in received)
    pubsub.ping()
    assert pubsub.get_message(timeout=5)["type"] == "pong"
    pubsub.unsubscribe()
    pubsub.punsubscribe()
    pubsub.close()


@story
def a_client_side_cache_follows_the_server(r):
    if r.connection_pool.connection_kwargs["protocol"] != 3:
        return
    # redis-py wants 7.4 for what is the same since 6.0.
    CacheProxyConnection.MIN_ALLOWED_VERSION = "7.0.0"
    with make_client(3, cache_config=CacheConfig()) as cached:
        r.set("cached", "1")
        assert cached.get("cached") == b"1"
        reads = r.info("commandstats")["cmdstat_get"]["calls"]
        assert all(cached.get("cached") == b"1" for _ in range(100))
        assert r.info("commandstats")["cmdstat_get"]["calls"] == reads, "answered by the client itself"
        r.set("cached", "2")
        end = time.monotonic() + 10
        while cached.get("cached") != b"2":
            assert time.monotonic() < end, "the client has not heard of the change"
        assert cached.mget("cached", "other") == [b"2", None]
        r.flushall()
        while cached.get("cached") is not None:
            assert time.monotonic() < end, "the client has not heard of the flush"


@story
def a_thousand_messages_arrive_in_order(r):
    pubsub = subscriber(r, ignore_subscribe_messages=True)
    pubsub.subscribe("stream")
    pubsub.get_message(timeout=5)
    with r.pipeline(transaction=False) as pipe:
        for number in range(1000):
            pipe.publish("stream", number)
        pipe.execute()
    received = []
    while len(received) < 1000:
        message = pubsub.get_message(timeout=5)
        assert message is not None
        received.append(int(message["data"]))
    assert received == list(range(1000))
    pubsub.close()


@story
def the_server_is_asked_about_itself(r):
    info = r.info()
    assert info["redis_version"].startswith("7.") and info["process_id"] > 0
    assert r.info("memory")["used_memory"] >= 0
    assert r.info("commandstats")["cmdstat_info"]["calls"] >= 1
    assert r.config_get("maxmemory*")["maxmemory"].isdigit()
    assert r.config_set("slowlog-max-len", 64) is True
    assert r.config_get("slowlog-max-len") == {"slowlog-max-len": "64"}
    assert r.config_resetstat() is True
    assert r.command_count() >= 100
    assert r.command()["get"]["arity"] == 2
    assert r.command_getkeys("MSET", "a", 1, "b", 2) in (["a", "b"], [b"a", b"b"])
    assert {b"multi", b"exec"} <= set(r.command_list(category="transaction"))
    assert isinstance(r.time()[0], int)
    assert r.lastsave() is not None
    assert r.role()[0] in ("master", b"master")
    assert r.wait(0, 0) == 0
    assert r.acl_whoami() in ("default", b"default")
    assert "ver. 7." in str(r.lolwut())
    assert r.memory_stats()["keys.count"] == 0


@story
def slow_commands_are_remembered(r):
    r.slowlog_reset()
    r.config_set("slowlog-log-slower-than", 0)
    r.set("slow", "x")
    r.config_set("slowlog-log-slower-than", 10_000)
    commands = [entry["command"] for entry in r.slowlog_get()]
    assert b"SET slow x" in commands
    assert r.slowlog_len() >= 2


@story
def clients_are_named_listed_and_ended(r):
    r.client_setname("story")
    assert r.client_getname() in ("story", b"story")
    mine = r.client_id()
    names = [client["name"] for client in r.client_list()]
    assert "story" in names
    assert r.client_info()["id"] == mine
    with make_client(2) as victim:
        target = victim.client_id()
        assert r.client_kill_filter(_id=target) == 1
        try:
            victim.ping()
        except redis.ConnectionError:
            pass
    assert r.client_kill_filter(_id=target) == 0
    r.client_pause(50, all=False)
    r.set("after", "pause")
    assert r.client_unpause() in (True, b"OK")


@story
def a_monitor_sees_commands(r):
    with r.monitor() as monitor:
        r.set("seen", "by monitor")
        for event in monitor.listen():
            if "SET seen" in event["command"]:
                assert event["client_type"] == "tcp" and event["db"] == 0
                break


@story
def many_values_of_a_megabyte(r):
    value = bytes(range(256)) * 4096
    for number in range(16):
        assert r.set(f"big:{number}", value)
    assert all(r.get(f"big:{number}") == value for number in range(16))


@story
def a_unix_socket_works_as_well(r):
    if UNIX_SOCKET is None:
        return
    with redis.Redis(unix_socket_path=UNIX_SOCKET, protocol=3) as local:
        assert local.set("through", "socket")
    assert r.get("through") == b"socket"


run(make_client)
