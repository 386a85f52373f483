"""A request whose reply is lost reaches the server once: nothing is sent again behind the caller's back."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError, TimeoutError

import harness.storages

from .lossy import LossyProxy
from .servers import Cluster, SentinelSet, Server, sentinel_of

pytestmark = pytest.mark.cluster
QUEUE = "once"
LONG_AGO = datetime.datetime(2000, 1, 1)
READ_TIMEOUT_S = 0.1
SOCKET_TIMEOUT_S = 0.4


@dataclass
class Lossy:
    """Makes Hueys whose commands for QUEUE pass through the proxy."""

    proxy: LossyProxy
    make: Callable[..., Any]
    _storages: dict[str, Any] = field(default_factory=dict)

    def storage(self, kind: str) -> Any:
        """An empty queue of that kind. The same client again and again: it has to come to terms with its losses."""
        storage = self._storages.setdefault(kind, self.make(kind, read_timeout=READ_TIMEOUT_S).storage)
        storage.flush_all()
        return storage


@pytest.fixture(scope="module")
def lossy_cluster(cluster: Cluster) -> Iterator[Lossy]:
    owner = cluster.primary_of(f"{{{QUEUE}}}")
    proxy = LossyProxy(owner.port)

    def remap(address: tuple[str, int]) -> tuple[str, int]:
        return proxy.address if address == owner.address else address

    def make(kind: str, **options: Any) -> Any:
        return getattr(harness.storages, f"{kind}ClusterHuey")(
            QUEUE, startup_nodes=cluster.startup_nodes, address_remap=remap, **options
        )

    yield Lossy(proxy, make)
    proxy.close()


@pytest.fixture(scope="module")
def lossy_sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lossy]:
    """A server of its own whose sentinel knows it by the proxy's address."""
    folder: Path = tmp_path_factory.mktemp("lossy")
    server = Server(folder / "server", {})
    server.start()
    proxy = LossyProxy(server.port)
    sentinel = sentinel_of(folder / "sentinel", SentinelSet.service_name, proxy.port, quorum=1)

    def make(kind: str, **options: Any) -> Any:
        return getattr(harness.storages, f"{kind}SentinelHuey")(
            QUEUE, sentinels=[sentinel.address], service_name=SentinelSet.service_name, **options
        )

    yield Lossy(proxy, make)
    proxy.close()
    sentinel.kill()
    server.kill()


@dataclass(frozen=True)
class Operation:
    """One call of a storage: the command that it is sent as, and what it has done to the queue, seen afterwards."""

    command: str
    call: Callable[[Any], Any]
    before: Callable[[Any], Any]
    seen: Callable[[Any], Any]
    once: Any


def _two(storage: Any) -> None:
    storage.enqueue(b"first")
    storage.enqueue(b"second")


def _two_scheduled(storage: Any) -> None:
    storage.add_to_schedule(b"first", LONG_AGO)
    storage.add_to_schedule(b"second", datetime.datetime.now() + datetime.timedelta(days=1))


def _nothing(storage: Any) -> None:
    pass


ENQUEUE = {"enqueue": Operation("LPUSH", lambda s: s.enqueue(b"x"), _nothing, lambda s: s.queue_size(), 1)}
DEQUEUE = {"dequeue": Operation("BRPOP", lambda s: s.dequeue(), _two, lambda s: s.enqueued_items(), [b"second"])}
PRIORITY = {
    "enqueue": Operation("ZADD", lambda s: s.enqueue(b"x", 1), _nothing, lambda s: s.queue_size(), 1),
    "dequeue": Operation("BZPOPMIN", lambda s: s.dequeue(), _two, lambda s: s.enqueued_items(), [b"second"]),
}
SCHEDULE = {
    "read_schedule": Operation(
        "EVAL",
        lambda s: s.read_schedule(datetime.datetime.now()),
        _two_scheduled,
        lambda s: s.scheduled_items(),
        [b"second"],
    ),
}
HASH = {
    "put_if_empty": Operation(
        "HSETNX", lambda s: s.put_if_empty("k", b"v"), _nothing, lambda s: s.peek_data("k"), b"v"
    ),
    "put_if_empty with ttl": Operation(
        "EVAL", lambda s: s.put_if_empty("k", b"v", 3600), lambda s: s.supports_hash_ttl,
        lambda s: (s.peek_data("k"), s.conn.httl(s.result_key, "k")[0] > 0), (b"v", True),
    ),
    "incr": Operation("HINCRBY", lambda s: s.incr("c"), _nothing, lambda s: s.incr("c", 0), 1),
    "pop_data": Operation(
        "EVAL", lambda s: s.pop_data("k"), lambda s: s.put_data("k", b"v"), lambda s: s.has_data_for_key("k"), False
    ),
    "delete_data": Operation(
        "HDEL", lambda s: s.delete_data("k"), lambda s: s.put_data("k", b"v"), lambda s: s.has_data_for_key("k"), False
    ),
}  # fmt: skip
EXPIRE = {
    "put_if_empty": Operation(
        "SET", lambda s: s.put_if_empty("k", b"v", 3600), _nothing, lambda s: s.peek_data("k"), b"v"
    ),
    "incr": Operation(
        "EVAL", lambda s: s.incr("c"), _nothing,
        lambda s: (s.conn.get(s.counter_key("c")), s.conn.ttl(s.counter_key("c")) > 0), (b"1", True),
    ),
    "delete_data": Operation(
        "DEL", lambda s: s.delete_data("k"), lambda s: s.put_data("k", b"v"), lambda s: s.has_data_for_key("k"), False
    ),
}  # fmt: skip
OPERATIONS = {
    "Redis": ENQUEUE | DEQUEUE | SCHEDULE | HASH,
    "RedisExpire": ENQUEUE | DEQUEUE | SCHEDULE | EXPIRE,
    "PriorityRedis": PRIORITY | SCHEDULE | HASH,
    "PriorityRedisExpire": PRIORITY | SCHEDULE | EXPIRE,
}
CASES = [
    pytest.param(kind, operation, id=f"{kind}-{name}")
    for kind, operations in OPERATIONS.items()
    for name, operation in operations.items()
]


@pytest.fixture(params=["cluster", "sentinel"])
def lossy(request: pytest.FixtureRequest) -> Lossy:
    found: Lossy = request.getfixturevalue(f"lossy_{request.param}")
    return found


@pytest.mark.parametrize(("kind", "operation"), CASES)
def test_a_lost_reply_is_an_error_and_the_request_arrived_once(lossy: Lossy, kind: str, operation: Operation) -> None:
    storage = lossy.storage(kind)
    operation.before(storage)
    lossy.proxy.lose_reply(operation.command)
    with pytest.raises(ConnectionError):
        operation.call(storage)
    assert lossy.proxy.arrived[operation.command] == 1
    assert operation.seen(storage) == operation.once


@pytest.mark.parametrize("name", ["enqueue", "dequeue", "incr"])
def test_a_reply_that_does_not_come_is_a_time_out_and_the_request_arrived_once(lossy: Lossy, name: str) -> None:
    operation = OPERATIONS["Redis"][name]
    storage = lossy.make("Redis", read_timeout=READ_TIMEOUT_S, socket_timeout=SOCKET_TIMEOUT_S).storage
    storage.flush_all()
    operation.before(storage)
    lossy.proxy.lose_reply(operation.command, "hang")
    if name == "dequeue":
        assert operation.call(storage) is None  # as Huey has it: a time-out looks like an empty queue
    else:
        with pytest.raises(TimeoutError):
            operation.call(storage)
    assert lossy.proxy.arrived[operation.command] == 1
    assert operation.seen(storage) == operation.once
    storage.close()


def test_redis_pys_own_cluster_client_sends_it_again(cluster: Cluster, lossy_cluster: Lossy) -> None:
    """The control: without our settings the same proxy sees the request twice, and the task is there twice."""
    storage = lossy_cluster.make("Redis").storage
    storage.flush_all()
    client = RedisCluster(
        startup_nodes=[ClusterNode(*cluster.startup_nodes[0])], address_remap=storage._connection["address_remap"]
    )
    lossy_cluster.proxy.lose_reply("LPUSH")
    client.lpush(storage.queue_key, b"x")
    assert lossy_cluster.proxy.arrived["LPUSH"] == 2
    assert storage.queue_size() == 2
    client.close()
    storage.close()
