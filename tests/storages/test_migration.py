"""The queue's slot moves to another node while producer and consumer are at work: nobody notices."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

import harness.storages

from .servers import Cluster, Server, eventually
from .work import working

pytestmark = pytest.mark.cluster


class Move:
    """One slot's way from node to node, step by step (https://redis.io/docs/latest/commands/cluster-setslot/)."""

    def __init__(self, cluster: Cluster, slot: int, source: Server, target: Server) -> None:
        self.cluster, self.slot, self.source, self.target = cluster, slot, source, target
        self._ids = {node: node.command("CLUSTER", "MYID").decode() for node in (source, target)}

    def begin(self) -> None:
        """From here on the source redirects (ASK) requests for keys that it does not have."""
        self.target.command("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self._ids[self.source])
        self.source.command("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self._ids[self.target])

    def carry(self) -> None:
        """Move every key that the source has."""

        def done() -> bool:
            keys = self.source.command("CLUSTER", "GETKEYSINSLOT", self.slot, 100)
            if keys:
                self.source.command("MIGRATE", *self.target.address, "", 0, 5000, "KEYS", *keys)
            return not keys

        eventually("all keys carried over", done, 10)

    def finish(self) -> None:
        """From here on the source redirects for good (MOVED)."""
        for node in (self.target, self.source, *self.cluster.nodes):
            if node.command("ROLE")[0] == b"master":
                node.command("CLUSTER", "SETSLOT", self.slot, "NODE", self._ids[self.target])


@pytest.mark.parametrize("kind", ["Redis", "RedisExpire", "PriorityRedis", "PriorityRedisExpire"])
def test_work_goes_on(cluster: Cluster, kind: str) -> None:
    # A reader that is blocked on the source when the move begins hears of it when its read times out.
    huey = getattr(harness.storages, f"{kind}ClusterHuey")(
        f"moving{kind}", startup_nodes=cluster.startup_nodes, read_timeout=0.2
    )
    slot = key_slot(huey.storage.queue_key.encode())
    source = cluster.primary_of(huey.storage.queue_key)
    # To a node that owns nothing and so stands in no CLUSTER SLOTS: a client cannot know of it beforehand.
    there = Move(cluster, slot, source, cluster.empty)
    back = Move(cluster, slot, cluster.empty, source)
    with working(huey) as work:
        work.wait_executed(20)
        for move in (there, back):
            for step in (move.begin, move.carry, move.finish):
                step()
                work.wait_executed(20)
    assert work.errors == []
    assert [record.getMessage() for record in work.consumer_errors.records] == []
    assert sorted(work.executed) == sorted(work.sent)
    assert work.slowest_s < 1


def test_keys_of_both_nodes_are_seen_while_the_slot_moves(cluster: Cluster) -> None:
    """Results already carried over, and those still to be, count once each."""
    storage = harness.storages.RedisExpireClusterHuey("seen", startup_nodes=cluster.startup_nodes).storage
    slot = key_slot(storage.queue_key.encode())
    source = cluster.primary_of(storage.queue_key)
    target = next(n for n in cluster.nodes if n is not source and n.info()["role"] == "master")
    move = Move(cluster, slot, source, target)
    for number in range(10):
        storage.put_data(f"k{number}", b"%d" % number)
    move.begin()
    keys = source.command("CLUSTER", "GETKEYSINSLOT", slot, 100)
    source.command("MIGRATE", *target.address, "", 0, 5000, "KEYS", *keys[:5])
    assert storage.result_store_size() == 10
    assert storage.peek_many([f"k{number}" for number in (*range(10), 99)]) == {f"k{n}": b"%d" % n for n in range(10)}
    move.carry()
    move.finish()
    assert storage.result_items() == {f"k{number}": b"%d" % number for number in range(10)}
    storage.flush_all()
    assert storage.result_store_size() == 0
