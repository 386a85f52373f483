"""The queue's primary dies or stops: errors come soon, and work goes on in the same processes."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from harness.storages import (
    PriorityRedisExpireSentinelHuey,
    PriorityRedisSentinelHuey,
    RedisClusterHuey,
    RedisExpireClusterHuey,
    RedisSentinelHuey,
)

from .lossy import LossyProxy
from .servers import Cluster, SentinelSet, eventually, free_port
from .work import working

pytestmark = pytest.mark.cluster
#: Tight enough for a test to see that a bound is one. The defaults are asserted in test_constructors.py.
TIMES = {"read_timeout": 0.3, "socket_timeout": 0.8, "socket_connect_timeout": 0.5}
#: The longest that one call may take: its own reply or connection, and a look at the cluster's shape.
CALL_LIMIT_S = 3.5


def _work_on(huey: Any, strike: Callable[[], Any], undo: Callable[[], Any]) -> None:
    with working(huey) as work:
        work.wait_executed(20)
        strike()
        struck = time.monotonic()
        sent = len(work.sent)
        work.wait_sent(50)
        recovery_s = time.monotonic() - struck
        work.wait_executed(50)
        after = work.sent[sent + 10 :]
        undo()
        work.wait_executed(50)
    print(f"recovery {recovery_s:.2f} s, slowest call {work.slowest_s:.2f} s, errors {len(work.errors)}")
    assert work.errors, "the strike was not felt"
    assert all(isinstance(error, RedisError) for error in work.errors), work.errors
    assert work.slowest_s < CALL_LIMIT_S
    executed = set(work.executed)
    assert not [number for number in after if number not in executed]
    assert len(executed) == len(work.executed), "a task was executed twice"


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_cluster(cluster: Cluster, how: str) -> None:
    huey = RedisClusterHuey(f"failover{how}", startup_nodes=cluster.startup_nodes, **TIMES)
    primary = cluster.primary_of(huey.storage.queue_key)
    if how == "kill":
        _work_on(huey, primary.kill, primary.start)
    else:
        _work_on(huey, lambda: primary.signal(signal.SIGSTOP), lambda: primary.signal(signal.SIGCONT))
    cluster.heal()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_sentinel(sentinel: SentinelSet, how: str) -> None:
    kind = RedisSentinelHuey if how == "kill" else PriorityRedisSentinelHuey
    huey = kind(f"failover{how}", sentinels=sentinel.sentinels, service_name=sentinel.service_name, **TIMES)
    primary = sentinel.primary()
    if how == "kill":
        _work_on(huey, primary.kill, primary.start)
    else:
        _work_on(huey, lambda: primary.signal(signal.SIGSTOP), lambda: primary.signal(signal.SIGCONT))
    sentinel.heal()


def _timed_errors(call: Callable[[], Any], count: int) -> float:
    """The slowest of `count` calls, each of which must fail with a connection's error."""
    slowest = 0.0
    for _ in range(count):
        start = time.monotonic()
        with pytest.raises((ConnectionError, TimeoutError)):
            call()
        slowest = max(slowest, time.monotonic() - start)
    return slowest


def test_cluster_with_dead_shards(cluster: Cluster) -> None:
    """Another shard's primary is dead: a new client works. So are this slot's servers: each call fails at once."""
    name = next(f"shards{i}" for i in range(1000) if key_slot(b"shards%d" % i) > 16384 // 2)
    storage = RedisExpireClusterHuey(name, startup_nodes=cluster.startup_nodes, blocking=False).storage
    owner = cluster.primary_of(storage.queue_key)
    replica = next(node for node in cluster.nodes if node.info().get("master_port") == owner.port)

    # redis-py asks its default node, the first primary, for the list of commands before it is ready.
    cluster.owner_of(0).kill()
    storage.enqueue(b"x")
    assert storage.dequeue() == b"x"

    owner.kill()
    replica.kill()
    assert _timed_errors(lambda: storage.enqueue(b"y"), 5) < 1
    assert _timed_errors(storage.dequeue, 2) < 1
    cluster.heal()
    eventually("the queue works again", lambda: storage.enqueue(b"z") or True, 10)
    assert storage.dequeue() == b"z"


def test_sentinel_without_a_primary(sentinel: SentinelSet) -> None:
    huey = PriorityRedisExpireSentinelHuey(
        "orphan", sentinels=sentinel.sentinels, service_name="unheard-of", blocking=False
    )
    assert _timed_errors(lambda: huey.storage.enqueue(b"x"), 3) < 1


def test_the_first_startup_nodes_may_be_dead(cluster: Cluster) -> None:
    dead = [("127.0.0.1", free_port()) for _ in range(2)]
    storage = RedisClusterHuey("deadseeds", startup_nodes=[*dead, cluster.startup_nodes[0]]).storage
    storage.enqueue(b"x")
    assert storage.dequeue() == b"x"


def test_the_first_sentinels_may_be_dead(sentinel: SentinelSet) -> None:
    dead = [("127.0.0.1", free_port()) for _ in range(2)]
    storage = RedisSentinelHuey(
        "deadseeds", sentinels=[*dead, sentinel.sentinels[0]], service_name=sentinel.service_name
    ).storage
    storage.enqueue(b"x")
    assert storage.dequeue() == b"x"


def test_nothing_is_connected_before_the_first_use() -> None:
    """A program starts while its servers are down, and hears of it when it enqueues."""
    nowhere = [("127.0.0.1", free_port())]
    with pytest.raises(ConnectionError, match="cannot be read"):
        RedisClusterHuey("nowhere", startup_nodes=nowhere).storage.enqueue(b"x")
    with pytest.raises(ConnectionError, match="No master found"):
        RedisSentinelHuey("nowhere", sentinels=nowhere, service_name="s").storage.enqueue(b"x")


def test_a_cluster_that_comes_back_under_other_addresses_is_found(tmp_path: Path) -> None:
    """The address given stays; what it leads to is another cluster now, as after a restart behind a DNS name."""
    clusters = [Cluster(tmp_path / name) for name in ("before", "after")]
    try:
        before, after = (each.add_node(password="secret") for each in clusters)
        seed = LossyProxy(before.port)
        storage = RedisClusterHuey(
            "moved", url=f"redis://:secret@127.0.0.1:{seed.port}?socket_connect_timeout=1", blocking=False
        ).storage
        with pytest.raises(ConnectionError, match="no node owns a slot"):
            storage.enqueue(b"x")
        before.command("CLUSTER", "ADDSLOTSRANGE", 0, 5)
        with pytest.raises(ConnectionError, match="owned the slot"):
            storage.enqueue(b"x")
        before.command("CLUSTER", "ADDSLOTSRANGE", 6, 16383)
        after.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        for each in clusters:
            each.wait_ready()
        eventually("the slot is covered", lambda: storage.enqueue(b"x") or True, 5)
        seed.lead_to(after.port)
        before.kill()
        with pytest.raises(ConnectionError):
            storage.enqueue(b"y")
        eventually("the new cluster is found", lambda: storage.enqueue(b"z") or True, 5)
        assert storage.dequeue() == b"z"
        seed.close()
    finally:
        for each in clusters:
            each.close()
