"""`move-slot`: what is half moved redirects, and is finished or called off, whatever happens meanwhile."""

from __future__ import annotations

import pytest

from harness.faults import Counting, Scene
from harness.protocols import HarnessError
from harness.topologies.server import wait_for

from .scene import KEY, aim, primary

pytestmark = [pytest.mark.cluster, pytest.mark.world]
#: In the queue's slot.
OTHER = "other.{chaos}"


def test_half_moved_it_redirects_and_then_everything_has_moved(scene: Scene) -> None:
    scene.agents.poll()
    topology, source = scene.topology, scene.topology.primary_of(KEY)
    topology.ask(source, "SET", OTHER, "x")
    injection = aim(scene, "move-slot", target="primary-of-queue")
    injection.inject()
    target = topology.nodes[injection.struck[1]]
    assert primary(scene) == source.spec.name
    with pytest.raises(HarnessError, match="Ask"):
        topology.ask(source, "LLEN", KEY)  # it went first
    with pytest.raises(HarnessError, match="TryAgain"):
        topology.ask(source, "EXISTS", KEY, OTHER)
    injection.heal()
    assert f"is {target.spec.name}'s" in injection.healed()
    with pytest.raises(HarnessError, match="Moved"):
        topology.ask(source, "LLEN", KEY)
    assert isinstance(injection, Counting)
    assert injection.counts == {"ASK": 1, "TRYAGAIN": 1, "MOVED": 1}
    assert topology.ask(target, "EXISTS", KEY, OTHER) == 2


def test_a_move_that_failed_half_way_is_finished(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.agents.poll()
    injection = aim(scene, "move-slot", target="primary-of-queue")
    ask = scene.topology.ask

    def refuse(node: object, *command: object) -> object:
        if "MIGRATING" in command:
            raise HarnessError("no")
        return ask(node, *command)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(scene.topology, "ask", refuse)
        with pytest.raises(HarnessError, match="no"):
            injection.inject()
    injection.heal()
    assert injection.healed()
    assert primary(scene) == injection.struck[1]
    injection.heal()  # a second time is no harm
    assert injection.healed()


@pytest.mark.parametrize("which", [0, 1])
def test_it_is_finished_by_whoever_took_over_meanwhile(scene: Scene, which: int) -> None:
    scene.agents.poll()
    topology = scene.topology
    injection = aim(scene, "move-slot", target="primary-of-queue")
    injection.inject()
    owner = injection.struck[which]
    (replica,) = (topology.nodes[member.name] for member in topology.members() if member.of == owner)
    wait_for(lambda: topology.ask(replica, "ROLE")[3] == "connected", 5, lambda: "the replica to be linked")
    topology.ask(replica, "CLUSTER", "FAILOVER")
    wait_for(lambda: topology.ask(replica, "ROLE")[0] == "master", 10, lambda: "the replica to take over")
    injection.heal()
    assert injection.healed()
    assert primary(scene) == (injection.struck[1] if which == 0 else replica.spec.name)
    assert topology.ask(topology.primary_of(KEY), "LLEN", KEY) == 1


def test_a_reset_calls_off_what_was_left_half_moved(scene: Scene) -> None:
    scene.agents.poll()
    injection = aim(scene, "move-slot", target="primary-of-queue")
    injection.inject()
    scene.topology.reset()
    assert primary(scene) == injection.struck[0]
    assert [scene.topology.ask(node, "DBSIZE") for node in scene.topology.nodes.values()] == [0] * 6
