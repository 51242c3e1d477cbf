"""redis-py's RedisCluster, and its plain client, against a cluster.

usage: redis_cluster.py PORT PLAIN_PORT         stories, with cluster clients that begin at PORT
       redis_cluster.py PORT PLAIN_PORT SECONDS  counts for so long, while members come and go
"""

import sys
import time

import redis
from redis.backoff import ExponentialBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry


def connect(port):
    return RedisCluster(host="127.0.0.1", port=port, decode_responses=True)


def keys_everywhere(cluster, plain):
    for number in range(200):
        assert cluster.set(f"k{number}", number)
    for number in range(200):
        assert cluster.get(f"k{number}") == str(number)
        assert plain.get(f"k{number}") == str(number)
    assert len({cluster.get_node_from_key(f"k{n}").port for n in range(200)}) == len(cluster.get_primaries())


def pipelines(cluster, plain):
    with cluster.pipeline() as pipe:
        for number in range(100):
            pipe.incr(f"p{number % 20}")
        assert pipe.execute() == [number // 20 + 1 for number in range(100)]


def several_keys(cluster, plain):
    cluster.mset_nonatomic({f"m{n}": str(n) for n in range(50)})
    assert cluster.mget_nonatomic([f"m{n}" for n in range(50)]) == [str(n) for n in range(50)]
    assert plain.mget([f"m{n}" for n in range(50)]) == [str(n) for n in range(50)]
    assert cluster.delete(*[f"m{n}" for n in range(50)]) == 50
    cluster.mset({"{t}1": "a", "{t}2": "b"})
    assert cluster.mget("{t}1", "{t}2") == ["a", "b"]


def crossing_slots(cluster, plain):
    node = cluster.get_node_from_key("a")
    client = redis.Redis(port=node.port)
    try:
        client.execute_command("MGET", "a", "b", "c", "d")
    except redis.ResponseError as error:
        assert "same slot" in str(error) or "MOVED" in str(error), error
    else:
        raise AssertionError("the cluster port runs commands of several slots")


def messages(cluster, plain):
    listener = cluster.pubsub()
    listener.subscribe("news")
    assert listener.get_message(timeout=5)["type"] == "subscribe"
    plain.publish("news", "from a plain client")
    deadline = time.monotonic() + 10
    message = None
    while message is None and time.monotonic() < deadline:
        message = listener.get_message(timeout=1)
    assert message["data"] == "from a plain client", message
    listener.close()


def scan(cluster, plain):
    cluster.flushall()
    for number in range(300):
        cluster.set(f"s{number}", "x")
    assert set(cluster.scan_iter(match="s*", count=50)) == {f"s{n}" for n in range(300)}
    assert set(plain.scan_iter(match="s*", count=50)) == {f"s{n}" for n in range(300)}


def count(cluster, plain, seconds):
    """INCR over many keys: what was acknowledged is there at the end, nothing failed."""
    acknowledged = {}
    deadline = time.monotonic() + seconds
    number = 0
    while time.monotonic() < deadline:
        number += 1
        for client in (cluster, plain):
            key = f"count:{number % 300}"
            value = client.incr(key)
            acknowledged[key] = acknowledged.get(key, 0) + 1
            assert value == acknowledged[key], f"{key}: {value}, acknowledged {acknowledged[key]}"
    for key, expected in acknowledged.items():
        assert int(cluster.get(key)) == expected, key
    print(f"{2 * number} increments")


def main():
    port, plain_port = int(sys.argv[1]), int(sys.argv[2])
    cluster = connect(port)
    plain = redis.Redis(
        port=plain_port, decode_responses=True, retry=Retry(ExponentialBackoff(), 0), socket_timeout=15)
    if len(sys.argv) > 3:
        count(cluster, plain, float(sys.argv[3]))
        return
    for story in (keys_everywhere, pipelines, several_keys, crossing_slots, messages, scan):
        plain.flushall()
        story(cluster, plain)
        print(f"ok   {story.__name__}")
    cluster.close()


main()
