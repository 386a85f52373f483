"""Faults of links: they strike the links they name and no others, and what lies on those otherwise still counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
import toxiproxy

from harness.faults import Scene
from harness.protocols import Exchange, Node

from .scene import KEY, aim

pytestmark = [pytest.mark.cluster, pytest.mark.world]
PORT = 6379


@pytest.fixture
def poisoned(poisoned_on: Callable[[str], Scene]) -> Scene:
    return poisoned_on("cluster")


def ask(scene: Scene, source: Node, target: Node, request: bytes = b"PING\r\n", within_s: float = 0.15) -> Exchange:
    return scene.runtime.exchange(source, target, PORT, request, enough=1, within_s=within_s)


def test_one_consumer_is_slow_to_one_node_alone(poisoned: Scene) -> None:
    target = poisoned.topology.primary_of(KEY)
    other = next(node for name, node in poisoned.topology.nodes.items() if name != target.spec.name)
    fields: dict[str, Any] = {"target": "primary-of-queue", "from": "consumer", "latency": "10s"}
    injection = aim(poisoned, "latency", **fields)
    (name,) = injection.struck
    consumer = poisoned.consumers[name]
    (unstruck,) = (node for one, node in poisoned.consumers.items() if one != name)
    injection.inject()
    try:
        slow = ask(poisoned, consumer, target)
        # Who is well answers soon, and on a busy machine some time.
        well = [ask(poisoned, *link, within_s=5.0) for link in ((consumer, other), (unstruck, target))]
    finally:
        injection.heal()
    assert slow.answered_s is None
    assert all(one.answered_s is not None for one in well)
    assert injection.healed()


@pytest.mark.parametrize("direction", ["there", "back"])
def test_a_link_that_passes_through_a_proxy_can_be_cut(poisoned: Scene, direction: str) -> None:
    consumer, server = poisoned.consumers["consumer-0"], poisoned.topology.primary_of(KEY)
    link = (consumer, server) if direction == "there" else (server, consumer)
    poisoned.runtime.cut(*link)
    try:
        cut = ask(poisoned, consumer, server)
        other = ask(poisoned, poisoned.consumers["consumer-1"], server, within_s=5.0)
        passed = [poisoned.runtime.probe(a, b, 0.1) for a, b in ((consumer, server), (server, consumer))]
    finally:
        poisoned.runtime.restore(*link)
    assert cut.answered_s is None
    assert other.answered_s is not None
    assert passed == [direction == "back", direction == "there"]
    assert ask(poisoned, consumer, server, within_s=2.0).answered_s is not None


def test_what_has_no_reply_is_done(poisoned: Scene) -> None:
    server = poisoned.topology.primary_of(KEY)
    injection = aim(poisoned, "reply-loss", target="primary-of-queue")
    injection.inject()
    try:
        seen = ask(poisoned, poisoned.consumers["consumer-0"], server, f"LPUSH {KEY} 1\r\n".encode(), within_s=2.0)
    finally:
        injection.heal()
    assert (seen.received, seen.end) == (0, "closed")
    assert poisoned.topology.ask(server, "LLEN", KEY) == 1


def test_two_toxics_on_one_link_are_taken_off_one_by_one(poisoned: Scene) -> None:
    late = aim(poisoned, "latency", target="primary-of-queue", latency="20ms")
    narrow = aim(poisoned, "bandwidth", target="primary-of-queue", rate=50)
    try:
        late.inject()
        narrow.inject()
        late.heal()
        assert late.healed()
        with pytest.raises(Exception, match="still have the bandwidth"):
            narrow.healed()
    finally:
        late.heal()
        narrow.heal()
    assert narrow.healed()


def test_a_proxy_that_will_not_let_go_of_a_toxic_is_replaced(poisoned: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Toxiproxy may answer such a request late, or never; when it does cannot be arranged."""
    consumer, server = poisoned.consumers["consumer-0"], poisoned.topology.primary_of(KEY)
    link = ("consumer-0", server.spec.name, PORT)
    assert poisoned.poisons is not None
    poisoned.poisons.poison(link, "latency", "downstream", "stays", {"latency": 1, "jitter": 0})
    poisoned.poisons.poison(link, "timeout", "downstream", "goes", {"timeout": 0})

    def never(*_: object) -> None:
        raise requests.ReadTimeout("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(toxiproxy.Proxy, "destroy_toxic", never)
        poisoned.poisons.cure(link, "goes")
    try:
        assert poisoned.poisons.toxics(link) == {"stays"}
        assert ask(poisoned, consumer, server, within_s=2.0).answered_s is not None
    finally:
        poisoned.poisons.cure(link, "stays")
    assert poisoned.poisons.toxics(link) == frozenset()
