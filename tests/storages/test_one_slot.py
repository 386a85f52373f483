"""All keys that a busy Huey ever writes hash to one slot, as the servers themselves see it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from huey import chord, crontab
from huey.exceptions import TaskException
from redis.crc import key_slot

import harness.storages

from .servers import Cluster, eventually
from .work import consuming

pytestmark = pytest.mark.cluster
KINDS = ["Redis", "RedisExpire", "PriorityRedis", "PriorityRedisExpire"]


@contextlib.contextmanager
def keys_written(cluster: Cluster, name: str) -> Iterator[Callable[[], set[str]]]:
    """The keys of every event on every node from now on, but for the expiry of keys that earlier tests left
    (https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/).
    """
    listeners = []
    for node in cluster.nodes:
        node.command("CONFIG", "SET", "notify-keyspace-events", "Eg$lhz")
        listener = node.admin.pubsub()
        listener.psubscribe("__keyevent@0__:*")
        listener.get_message(timeout=5)
        listeners.append(listener)
    seen: set[str] = set()

    def so_far() -> set[str]:
        for listener in listeners:
            while message := listener.get_message(timeout=0.01):
                key = message["data"].decode()
                # The cluster is shared: what earlier tests left may still expire, or be renewed. All that a queue
                # writes has its name in it, whatever slot that makes.
                if name in key:
                    seen.add(key)
        return seen

    try:
        yield so_far
    finally:
        for listener in listeners:
            listener.close()
        for node in cluster.nodes:
            node.command("CONFIG", "SET", "notify-keyspace-events", "")


def _be_busy(huey: Any) -> None:
    @huey.task()
    def add(a: int, b: int) -> int:
        return a + b

    @huey.task()
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @huey.task(retries=1)
    def fail() -> None:
        raise ValueError("as it should")

    @huey.task()
    @huey.lock_task("a-lock")
    def locked() -> int:
        return 1

    @huey.periodic_task(crontab(minute="*"))
    def often() -> None:
        pass

    with consuming(huey):
        assert add(1, 2).get(blocking=True, timeout=10) == 3
        result = huey.enqueue(chord([add.s(1, 1), add.s(2, 2)], total.s()))
        assert result.get(blocking=True, timeout=10) == 6
        assert huey.enqueue(add.s(1, 1).then(add, 5)).get(blocking=True, timeout=10) == [2, 7]
        with pytest.raises(TaskException):
            fail().get(blocking=True, timeout=10)
        assert locked().get(blocking=True, timeout=10) == 1
        held = add.schedule((0, 0), delay=3600)
        held.revoke()
        assert held.is_revoked()
        eventually("the task is in the schedule", lambda: huey.scheduled_count() == 1, 5)
        often.revoke()
        assert often.is_revoked()
        often.restore()
    huey.flush()


@pytest.mark.parametrize("kind", KINDS)
def test_one_slot(cluster: Cluster, kind: str) -> None:
    name = f"busy{kind}"
    huey = getattr(harness.storages, f"{kind}ClusterHuey")(
        name, startup_nodes=cluster.startup_nodes, notify_result=True, read_timeout=0.1
    )
    with keys_written(cluster, name) as written:
        _be_busy(huey)
        tag = f".{{{name}}}"
        results = ("r", "c") if "Expire" in kind else ("results", "counters")
        expected = {f"huey.{part}{tag}" for part in ("redis", "schedule", "notify", *results)}
        eventually(
            f"keys of every sort: {expected}",
            lambda: all(any(key.startswith(start) for key in written()) for start in expected),
            5,
        )
        keys = written()
    node = cluster.nodes[0]
    slots = {node.command("CLUSTER", "KEYSLOT", key) for key in keys}
    assert slots == {key_slot(name.encode())}, keys
    assert all(tag in key for key in keys)


@pytest.mark.parametrize("name", ["a-b", "team{one}x", "*?[!]\\"])
def test_names_kept_as_they_are(cluster: Cluster, name: str) -> None:
    """With clean_name=False too, whatever the name holds, keys share a slot and queues do not share keys."""
    storage = harness.storages.RedisExpireClusterHuey(
        name, startup_nodes=cluster.startup_nodes, clean_name=False
    ).storage
    other = harness.storages.RedisExpireClusterHuey(
        name.replace("*", "star"), startup_nodes=cluster.startup_nodes, clean_name=True
    ).storage
    keys = [storage.queue_key, storage.schedule_key, storage.notify_prefix + "k"]
    keys += [storage.result_key("k").decode(), storage.counter_key("k").decode()]
    assert len({key_slot(key.encode()) for key in keys}) == 1
    storage.put_data("k", b"v")
    other.put_data("other", b"w")
    assert storage.result_items() == {"k": b"v"}
    storage.flush_results()
    assert other.result_items() == {"other": b"w"}
    other.flush_results()


@pytest.mark.parametrize("family", ["cluster", "sentinel"])
def test_many_results_are_counted_once_each(request: pytest.FixtureRequest, family: str) -> None:
    """More than one SCAN of them, among other queues' keys; on a cluster SCAN answers for one node at a time."""
    servers = request.getfixturevalue(family)
    where = (
        {"startup_nodes": servers.startup_nodes}
        if family == "cluster"
        else {"sentinels": servers.sentinels, "service_name": servers.service_name}
    )
    kind = getattr(harness.storages, f"RedisExpire{family.capitalize()}Huey")
    storages = [kind(f"many{i}", **where).storage for i in range(2)]
    count = 1500
    for storage in storages:
        pipe = storage.conn.pipeline()
        for number in range(count):
            pipe.set(storage.result_key(str(number)), b"v")
        pipe.execute()
    for storage in storages:
        assert storage.result_store_size() == count
        assert storage.result_items() == {str(number): b"v" for number in range(count)}
    storages[0].flush_results()
    assert [storage.result_store_size() for storage in storages] == [0, count]
    storages[1].flush_results()


def test_a_key_that_scan_gives_twice_or_that_expires_meanwhile() -> None:
    """SCAN guarantees neither against the one nor the other (https://redis.io/docs/latest/commands/scan/)."""

    class Client:
        def scan_iter(self, **_: Any) -> list[bytes]:
            return [storage.result_key("a"), storage.result_key("b"), storage.result_key("a")]

        def mget(self, keys: list[bytes]) -> list[bytes | None]:
            return [b"v" if key.endswith(b"a") else None for key in keys]

    storage = harness.storages.RedisExpireClusterHuey("scan", startup_nodes=[("127.0.0.1", 1)]).storage
    storage.conn = Client()
    assert storage.result_store_size() == 2
    assert storage.result_items() == {"a": b"v"}
