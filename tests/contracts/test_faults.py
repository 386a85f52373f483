"""What every fault owes, whatever it strikes: it lands, it heals, both are seen from outside it, nothing is left."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.faults import FAULTS, Scene
from harness.faults.partition import PartitionSpec
from harness.faults.targets import several
from harness.protocols import Node, NodeSpec, NodeState, Runtime
from harness.runtimes.choose import open_runtime
from harness.runtimes.engine import docker_available
from harness.scenario import TopologySpec, Trigger
from harness.topologies import TOPOLOGIES

pytestmark = [pytest.mark.cluster, pytest.mark.world]
CASES = [(kind, target) for kind, fault in FAULTS.items() for target in fault.spec.targets]
NOW = Trigger(elapsed=0.0)
KEY = "huey.redis.{chaos}"


def sleeper(runtime: Runtime, name: str, index: int) -> Node:
    """An agent as far as a fault is concerned: a program that runs."""
    workdir: Path = runtime.root / name
    workdir.mkdir()
    node = runtime.node(NodeSpec(name, index, "python", ("-c", "import time; time.sleep(600)"), workdir))
    node.start()
    return node


@pytest.fixture(scope="module", params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "docker" and (missing := docker_available()) is not None:
        pytest.skip(missing)
    runtime = open_runtime(request.param, "valkey-9")
    try:
        topology = TOPOLOGIES.get("cluster")(runtime, TopologySpec())
        topology.start()
        yield Scene(
            runtime=runtime,
            topology=topology,
            producers={"producer-0": sleeper(runtime, "producer-0", 60)},
            consumers={f"consumer-{i}": sleeper(runtime, f"consumer-{i}", 61 + i) for i in range(2)},
            queue_key=KEY,
            # They write no records; that an agent comes back is seen by the real ones, end to end.
            last_record_ns=lambda _: time.monotonic_ns(),
        )
    finally:
        runtime.close()
        shutil.rmtree(runtime.root, ignore_errors=True)


@pytest.mark.parametrize(("kind", "target"), CASES)
def test_it_lands_and_heals(scene: Scene, kind: str, target: str) -> None:
    scene.topology.reset()
    fault = FAULTS.get(kind)
    spec = fault.spec.model_validate({"kind": kind, "target": target, "at": {"elapsed": "0s"}})
    injection = fault.aim(spec, scene, draw=1)
    assert injection.struck
    assert injection.classes
    proof = injection.inject()
    try:
        assert proof
        if kind in ("kill", "pause"):
            expected = NodeState.EXITED if kind == "kill" else NodeState.PAUSED
            assert [scene.nodes[name].state() for name in injection.struck] == [expected]
        else:
            assert scene.runtime.cuts()
    finally:
        injection.heal()
    assert injection.healed()
    assert scene.runtime.cuts() == frozenset()
    assert {node.state() for node in scene.nodes.values()} == {NodeState.RUNNING}
    scene.topology.wait_ready(1)


@pytest.mark.parametrize("direction", ["to-target", "from-target"])
def test_a_partition_in_one_direction_leaves_the_other_open(scene: Scene, direction: Any) -> None:
    scene.topology.reset()
    spec = PartitionSpec(
        kind="partition", target="consumer", from_="primary-of-queue", direction=direction, at=NOW
    )  # fmt: skip
    injection = FAULTS.get("partition").aim(spec, scene, draw=0)
    (consumer,) = (scene.consumers[name] for name in injection.struck)
    (primary,) = several("primary-of-queue", scene)
    injection.inject()
    try:
        to_target = scene.runtime.probe(primary, consumer, 0.2)
        from_target = scene.runtime.probe(consumer, primary, 0.2)
    finally:
        injection.heal()
    assert injection.healed()
    assert (to_target, from_target) == (direction != "to-target", direction != "from-target")


def test_a_link_that_is_dead_already_proves_nothing(scene: Scene) -> None:
    scene.topology.reset()
    spec = PartitionSpec(kind="partition", target="consumer", from_="primary-of-queue", at=NOW)
    injection = FAULTS.get("partition").aim(spec, scene, draw=0)
    (consumer,) = (scene.consumers[name] for name in injection.struck)
    (primary,) = several("primary-of-queue", scene)
    scene.runtime.cut(primary, consumer)
    try:
        with pytest.raises(Exception, match="was dead before it was cut"):
            injection.inject()
    finally:
        injection.heal()
        scene.runtime.restore(primary, consumer)
