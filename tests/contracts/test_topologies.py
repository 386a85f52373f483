"""What a topology with servers owes: ready means ready, a reset leaves it healthy and empty, roles are told truly."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator

import pytest

from harness.faults.targets import FAILS_OVER
from harness.protocols import Node, NodeState, Runtime, Topology, Unavailable
from harness.runtimes.choose import open_runtime
from harness.scenario import TopologySpec
from harness.topologies import TOPOLOGIES
from harness.topologies.compose import DESCRIPTIONS
from harness.topologies.server import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.world]
KEY = "huey.redis.{chaos}"


@pytest.fixture(scope="module", params=[*sorted(DESCRIPTIONS), "postgres"])
def held(request: pytest.FixtureRequest) -> Iterator[tuple[Runtime, Topology]]:
    runtime = open_runtime("local", "valkey-9")
    try:
        try:
            topology = TOPOLOGIES.get(request.param)(runtime, TopologySpec())
        except Unavailable as missing:
            pytest.skip(str(missing))
        topology.start()
        yield runtime, topology
    finally:
        runtime.close()
        shutil.rmtree(runtime.root, ignore_errors=True)


def fill(topology: Topology) -> int:
    """Put something into the queue's primary; how much is in there."""
    primary = topology.primary_of(KEY)
    if topology.kind == "postgres":
        topology.ask(primary, "create table filled (a int)")
    else:
        topology.ask(primary, "SET", KEY, "x")
    return held_by(topology)


def held_by(topology: Topology) -> int:
    """How much is in the queue's primary."""
    primary = topology.primary_of(KEY)
    if topology.kind == "postgres":
        return int(topology.ask(primary, "select count(*) from pg_tables where schemaname = 'public'")[0][0])
    return int(topology.ask(primary, "DBSIZE"))


def test_there_is_one_primary_of_the_queue_and_its_replicas_are_replicas(held: tuple[Runtime, Topology]) -> None:
    _, topology = held
    topology.reset()
    roles = {member.name: member for member in topology.members()}
    assert set(roles) == set(topology.nodes)
    primary = topology.primary_of(KEY).spec.name
    assert roles[primary].role == "primary"
    for replica in topology.replicas_of(KEY):
        assert (roles[replica.spec.name].role, roles[replica.spec.name].of) == ("replica", primary)


def test_a_reset_empties_it_and_is_quick(held: tuple[Runtime, Topology]) -> None:
    _, topology = held
    topology.reset()
    assert fill(topology) == 1
    topology.reset()
    assert held_by(topology) == 0


def kill(topology: Topology, runtime: Runtime, node: Node) -> None:
    node.kill()


def pause(topology: Topology, runtime: Runtime, node: Node) -> None:
    node.pause()


def cut(topology: Topology, runtime: Runtime, node: Node) -> None:
    for other in topology.nodes.values():
        if other is not node:
            runtime.cut(other, node)
            runtime.cut(node, other)


@pytest.mark.parametrize("fault", [kill, pause, cut])
def test_a_reset_heals_whatever_was_left(
    held: tuple[Runtime, Topology], fault: Callable[[Topology, Runtime, Node], None]
) -> None:
    runtime, topology = held
    topology.reset()
    struck = topology.primary_of(KEY)
    fault(topology, runtime, struck)
    if topology.kind in FAILS_OVER:
        # The others choose a new primary.
        wait_for(lambda: topology.primary_of(KEY) is not struck, 15, lambda: "a failover")
    topology.reset()
    assert runtime.cuts() == frozenset()
    assert all(node.state() is NodeState.RUNNING for node in topology.nodes.values())
    if topology.kind in FAILS_OVER:
        primary = topology.primary_of(KEY)
        # Valkey 9.1's old primary may come back from a cut with the others still down in its book, say so to all, and
        # be elected at once (cluster_legacy.c, markNodeAsFailingIfNeeded).
        assert primary is not struck or (topology.kind == "cluster" and fault is cut)
        assert struck in (primary, *topology.replicas_of(KEY))
        assert len(topology.replicas_of(KEY)) == (1 if topology.kind == "cluster" else 2)


def test_a_silent_server_is_told_as_silent(held: tuple[Runtime, Topology]) -> None:
    _, topology = held
    topology.reset()
    node = topology.primary_of(KEY)
    node.pause()
    began = time.monotonic()
    assert not topology.ping(node)
    assert time.monotonic() - began < 2
    node.resume()
    topology.reset()
