"""Partitions by shape: who sees whom, by datagrams; and one that comes and goes, by the kernel's rules."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from harness.faults import Injection, Scene
from harness.faults.ring import steps
from harness.faults.targets import several
from harness.protocols import HarnessError, Node

from .scene import aim

pytestmark = [pytest.mark.cluster, pytest.mark.world]


@contextmanager
def in_force(injection: Injection) -> Iterator[None]:
    injection.inject()
    try:
        yield
    finally:
        injection.heal()
    assert injection.healed()


def seen(scene: Scene, kind: str, target: str, draw: int = 3) -> Mapping[str, frozenset[str]]:
    """Which servers each server and client sees in both directions while that fault is in force, itself included."""
    nodes = list(scene.nodes.values())
    servers = list(scene.topology.nodes.values())

    def sees(link: tuple[Node, Node]) -> bool:
        a, b = link
        return a is b or (scene.runtime.probe(a, b, 0.1) and scene.runtime.probe(b, a, 0.1))

    links = list(itertools.product(nodes, servers))
    with in_force(aim(scene, kind, draw, target=target)), ThreadPoolExecutor(8) as pool:
        found = dict(zip(links, pool.map(sees, links), strict=True))
    return {a.spec.name: frozenset(b.spec.name for b in servers if found[a, b]) for a in nodes}


def test_in_a_ring_each_sees_a_majority_and_no_two_the_same(scene: Scene) -> None:
    view = seen(scene, "ring", "everyone")
    servers = scene.topology.nodes
    assert {len(view[name]) for name in servers} == {len(servers) // 2 + 1}
    assert len({view[name] for name in servers}) == len(servers)
    # A client sees as much as some server does, and the others of its kind see something else.
    assert all(view[name] in {view[server] for server in servers} for name in scene.consumers)
    assert len({view[name] for name in scene.consumers}) == len(scene.consumers)


def test_only_the_bridge_sees_both_halves(scene: Scene) -> None:
    bridge = several("primary-of-queue", scene)[0].spec.name
    view = seen(scene, "bridge", "primary-of-queue")
    servers = frozenset(scene.topology.nodes)
    assert view[bridge] == servers
    halves = {view[name] for name in servers - {bridge}}
    assert sorted(map(len, halves)) == [3, 4]
    assert frozenset.intersection(*halves) == {bridge}
    assert {view[name] for name in scene.consumers} == halves


def test_halves_have_clients_on_both_sides(scene: Scene) -> None:
    view = seen(scene, "partition", "halves")
    servers = frozenset(scene.topology.nodes)
    halves = {view[name] for name in servers}
    assert sorted(map(len, halves)) == [3, 3]
    assert not frozenset.intersection(*halves)
    assert {view[name] for name in scene.consumers} == halves


def test_the_same_draw_makes_the_same_groups(scene: Scene) -> None:
    for kind, target in (("partition", "halves"), ("partition", "majority"), ("bridge", "any-replica")):
        one, same, *others = (aim(scene, kind, draw, target=target).struck for draw in (5, 5, 6, 7, 8, 9))
        assert one == same
        assert any(other != one for other in others)


@pytest.mark.parametrize("servers", range(4, 20))
def test_a_ring_of_any_size_is_one(servers: int) -> None:
    near = steps(servers)
    view = [
        frozenset(j for j in range(servers) if min((i - j) % servers, (j - i) % servers) in near | {0})
        for i in range(servers)
    ]
    assert len(set(view)) == servers
    assert {len(one) for one in view} <= {servers // 2 + 1, servers // 2 + 2}


def test_three_servers_make_no_ring() -> None:
    with pytest.raises(HarnessError, match="a ring takes 4 servers"):
        steps(3)


def test_what_flaps_comes_and_goes(scene: Scene) -> None:
    injection = aim(scene, "flapping", target="consumer", every="100ms", **{"from": "nodes"})
    states = []
    with in_force(injection):
        deadline = time.monotonic() + 10
        while len(states) < 6 and time.monotonic() < deadline:
            cuts = scene.runtime.cuts()
            # Links change one after the other: only what is wholly cut or whole counts.
            if len(cuts) in (0, 2 * len(scene.topology.nodes)) and states[-1:] != [bool(cuts)]:
                states.append(bool(cuts))
            time.sleep(0.005)
    assert states == [True, False, True, False, True, False]
    assert "times" in injection.healed()
    assert scene.runtime.cuts() == frozenset()
