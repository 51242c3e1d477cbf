"""What redis-py, the Redis project's own Python client, does with a node. Usage: redis_py.py PORT PROTOCOL"""

import sys
import threading

import redis


def strings(client):
    assert client.ping()
    assert client.set("greeting", "hello", ex=100)
    assert client.get("greeting") == b"hello"
    assert 0 < client.ttl("greeting") <= 100
    assert client.set("greeting", "again", nx=True) is None
    assert client.getset("greeting", b"\x00\xff\r\n") == b"hello"
    assert client.get("greeting") == b"\x00\xff\r\n"
    assert client.delete("greeting") == 1 and client.get("greeting") is None
    assert client.incr("count") == 1 and client.incrby("count", 41) == 42
    assert client.incrbyfloat("count", 0.5) == 42.5
    assert client.mset({"a": 1, "b": 2, "c": 3})
    assert client.mget("a", "missing", "c") == [b"1", None, b"3"]
    assert client.append("a", "23") == 3 and client.getrange("a", 1, 2) == b"23"
    assert client.setbit("bits", 7, 1) == 0 and client.bitcount("bits") == 1
    assert client.set("large", b"x" * 5_000_000) and client.strlen("large") == 5_000_000
    assert client.get("large") == b"x" * 5_000_000


def keys(client):
    client.flushdb()
    pipeline = client.pipeline(transaction=False)
    for index in range(5000):
        pipeline.set(f"key:{index}", index)
    assert all(pipeline.execute())
    assert client.dbsize() == 5000
    assert len(set(client.scan_iter(match="key:*", count=100))) == 5000
    assert client.exists("key:1", "key:2", "nothing") == 2
    assert client.type("key:1") == b"string" and client.object("encoding", "key:1") == b"int"
    assert client.rename("key:1", "moved") and client.get("moved") == b"1"
    assert client.expire("moved", 50) and client.persist("moved") and client.ttl("moved") == -1
    assert client.copy("moved", "copied") and client.unlink("moved", "copied") == 2
    assert client.randomkey().startswith(b"key:")


def transactions(client):
    client.set("balance", 10)

    def spend(pipeline):
        left = int(pipeline.get("balance")) - 3
        pipeline.multi()
        pipeline.set("balance", left)
        pipeline.get("balance")

    assert client.transaction(spend, "balance") == [True, b"7"]
    with client.pipeline() as pipeline:
        pipeline.watch("balance")
        client.set("balance", 0)
        pipeline.multi()
        pipeline.incr("balance")
        try:
            pipeline.execute()
            raise AssertionError("a watched key had changed")
        except redis.WatchError:
            pass


def publish_and_subscribe(client):
    subscriber = client.pubsub(ignore_subscribe_messages=True)
    subscriber.subscribe("news")
    subscriber.psubscribe("wea*")
    assert subscriber.get_message(timeout=5) is None
    assert subscriber.get_message(timeout=5) is None
    sender = threading.Thread(target=lambda: (client.publish("news", "one"), client.publish("weather", "two")))
    sender.start()
    received = [subscriber.get_message(timeout=5) for _ in range(2)]
    sender.join()
    assert [message["data"] for message in received] == [b"one", b"two"]
    assert [message["type"] for message in received] == ["message", "pmessage"]
    subscriber.close()


def server(client, protocol):
    info = client.info()
    assert info["connected_clients"] >= 1 and info["used_memory"] >= 0
    assert int(client.config_get("maxmemory")["maxmemory"]) > 0
    client.config_set("slowlog-log-slower-than", 0)
    client.get("anything")
    assert client.slowlog_len() > 0
    client.config_set("slowlog-log-slower-than", 10000)
    assert client.client_setname("tester") and client.client_getname() in ("tester", b"tester")
    assert any(entry["name"] == "tester" for entry in client.client_list())
    commands = client.command()
    assert "get" in commands and client.command_count() == len(commands)
    hello = client.execute_command("HELLO")
    assert (hello[b"proto"] if protocol == 3 else hello[hello.index(b"proto") + 1]) == protocol
    assert client.time()[0] > 1_600_000_000
    for wrong in (("INCR", "large"), ("NOSUCHCOMMAND",), ("GET",), ("SET", "a", "b", "EX", "0")):
        try:
            client.execute_command(*wrong)
            raise AssertionError(f"{wrong} is an error")
        except redis.ResponseError:
            pass


def main():
    port, protocol = int(sys.argv[1]), int(sys.argv[2])
    client = redis.Redis(port=port, protocol=protocol, single_connection_client=False)
    strings(client)
    server(client, protocol)
    keys(client)
    transactions(client)
    publish_and_subscribe(client)
    other = redis.Redis(port=port, protocol=protocol, db=5)
    assert other.dbsize() == 0 and other.set("here", 1) and client.get("here") is None
    print(f"redis-py {redis.__version__}, RESP{protocol}: all as expected")


main()
