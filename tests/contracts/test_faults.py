"""What every fault owes, whatever it strikes: it lands, it heals, both are seen from outside it, nothing is left."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.faults import FAULTS, Injection, Scene
from harness.faults.child import children
from harness.faults.partition import PartitionSpec
from harness.faults.targets import several
from harness.protocols import HarnessError, Node, NodeSpec, NodeState, Runtime, Topology
from harness.runtimes.choose import open_runtime
from harness.runtimes.engine import docker_available
from harness.scenario import TopologySpec, Trigger
from harness.topologies import TOPOLOGIES
from harness.topologies.server import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.world]
NOW = Trigger(elapsed=0.0)
KEY = "huey.redis.{chaos}"
CASES = [
    *((kind, {"target": target}) for kind, fault in FAULTS.items() for target in fault.spec.targets),
    *(("terminate", {"target": "consumer", "signal": name}) for name in ("INT", "HUP")),
]
STATES = {"kill": NodeState.EXITED, "pause": NodeState.PAUSED, "terminate": NodeState.EXITED}

#: A consumer as far as a fault is concerned: forks a worker and a scheduler, replaces them, ends and starts anew.
CONSUMER = """
import os, signal, sys, time

told = []
for name in ("SIGTERM", "SIGINT", "SIGHUP"):
    signal.signal(signal.Signals[name], lambda number, _: told.append(number))
open("starts", "a").write("x")
running = {}
while not told:
    for name in ("w1", "scheduler"):
        if name not in running:
            running[name] = os.fork()
            if not running[name]:
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    signal.signal(number, signal.SIG_DFL)
                open(f"{name}.{os.getpid()}.pid", "w").close()
                time.sleep(600)
    time.sleep(0.01)
    gone, _ = os.waitpid(-1, os.WNOHANG)
    running = {name: pid for name, pid in running.items() if pid != gone}
for pid in running.values():
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
if told[0] == signal.SIGHUP:
    os.execv(sys.executable, [sys.executable, *sys.argv])
"""


class Watch:
    """What is seen of the agents. Whoever looks for progress makes some: a task is put and acknowledged.

    Agents write no records; that one comes back is seen by the real ones, end to end.
    """

    def __init__(self, root: Path, topology: Topology) -> None:
        self.acknowledged = 0
        self.popped_by = "consumer-1"
        self.primary = topology.primary_of(KEY)
        self._root, self._topology = root, topology

    def poll(self) -> None:
        self._topology.ask(self.primary, "LPUSH", KEY, self.acknowledged)
        self.acknowledged += 1

    def last_record_ns(self, agent: str) -> int:
        return time.monotonic_ns()

    def starts(self, agent: str) -> int:
        return len((self._root / agent / "starts").read_text())

    def processes(self, agent: str) -> Mapping[int, str]:
        names = (path.name.split(".") for path in (self._root / agent).glob("*.pid"))
        return {int(pid): name for name, pid, _ in names}

    def holding(self, agent: str) -> frozenset[int]:
        return frozenset(self.processes(agent))


def agent(runtime: Runtime, name: str, index: int) -> Node:
    workdir: Path = runtime.root / name
    workdir.mkdir()
    (workdir / "consumer.py").write_text(CONSUMER)
    node = runtime.node(NodeSpec(name, index, "python", (str(workdir / "consumer.py"),), workdir))
    node.start()
    return node


@pytest.fixture(scope="module", params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def place(request: pytest.FixtureRequest) -> Iterator[Scene]:
    if request.param == "docker" and (missing := docker_available()) is not None:
        pytest.skip(missing)
    runtime = open_runtime(request.param, "valkey-9")
    try:
        topology = TOPOLOGIES.get("cluster")(runtime, TopologySpec())
        topology.start()
        yield Scene(
            runtime=runtime,
            topology=topology,
            producers={"producer-0": agent(runtime, "producer-0", 60)},
            consumers={f"consumer-{i}": agent(runtime, f"consumer-{i}", 61 + i) for i in range(2)},
            queue_key=KEY,
            agents=Watch(runtime.root, topology),
        )
    finally:
        runtime.close()
        shutil.rmtree(runtime.root, ignore_errors=True)


@pytest.fixture
def scene(place: Scene) -> Scene:
    place.topology.reset()
    for node in place.consumers.values():
        wait_for(lambda node=node: len(children(place, node)) == 2, 10, lambda: "a consumer to fork")  # type: ignore[misc]
    return dataclasses.replace(place, agents=Watch(place.runtime.root, place.topology))


def aim(scene: Scene, kind: str, draw: int = 1, **fields: Any) -> Injection:
    fault = FAULTS.get(kind)
    return fault.aim(fault.spec.model_validate({"kind": kind, "at": {"elapsed": "0s"}, **fields}), scene, draw)


def primary(scene: Scene) -> str:
    return scene.topology.primary_of(KEY).spec.name


@pytest.mark.parametrize(
    ("kind", "fields"), CASES, ids=lambda case: case if isinstance(case, str) else "-".join(case.values())
)
def test_it_lands_and_heals(scene: Scene, kind: str, fields: dict[str, str]) -> None:
    injection = aim(scene, kind, **fields)
    assert injection.struck
    assert injection.classes
    proof = injection.inject()
    try:
        assert proof
        if kind == "partition":
            assert scene.runtime.cuts()
        elif kind == "lost-tail":
            wait_for(lambda: primary(scene) not in injection.struck[:1], 10, lambda: "a replica to take over")
        elif kind in STATES and fields["target"] in ("consumer", "primary-of-queue") and "HUP" not in fields.values():
            assert [scene.nodes[name].state() for name in injection.struck] == [STATES[kind]]
    finally:
        injection.heal()
    assert injection.healed()
    assert scene.runtime.cuts() == frozenset()
    assert {node.state() for node in scene.nodes.values()} == {NodeState.RUNNING}
    scene.topology.wait_ready(1)


def test_of_a_lost_tail_nothing_is_left(scene: Scene) -> None:
    scene.agents.poll()
    replica = scene.topology.replicas_of(KEY)[0]
    wait_for(lambda: scene.topology.ask(replica, "DBSIZE") == 1, 5, lambda: "the first task to be on the replica")
    injection = aim(scene, "lost-tail", target="primary-of-queue", writes=20)
    injection.inject()
    wait_for(lambda: primary(scene) == replica.spec.name, 10, lambda: "the replica to take over")
    injection.heal()
    assert replica.spec.name in injection.healed()
    assert scene.agents.acknowledged >= 21
    # A cluster's node answers for its own slots alone: it is asked itself.
    assert scene.topology.ask(replica, "LLEN", KEY) == 1


def test_a_tail_that_nobody_took_over_from_is_not_lost(scene: Scene) -> None:
    injection = aim(scene, "lost-tail", target="primary-of-queue", writes=1, within="100ms")
    injection.inject()
    injection.heal()
    with pytest.raises(HarnessError, match="nobody took over"):
        injection.healed()


def test_an_empty_restart_empties_the_replica_too(scene: Scene) -> None:
    for _ in range(5):
        scene.agents.poll()
    injection = aim(scene, "restart-empty", target="primary-of-queue")
    injection.inject()
    injection.heal()
    assert "primary still" in injection.healed()
    (name,) = injection.struck
    servers = (scene.nodes[name], *scene.topology.replicas_of(KEY))
    assert [scene.topology.ask(server, "DBSIZE") for server in servers] == [0, 0]


@pytest.mark.parametrize(("target", "name"), [("process-worker", "w1"), ("scheduler", "scheduler")])
def test_only_the_one_process_is_killed(scene: Scene, target: str, name: str) -> None:
    before = {node.spec.name: children(scene, node) for node in scene.consumers.values()}
    injection = aim(scene, "kill", target=target)
    assert injection.struck == ("consumer-1",)
    injection.inject()
    injection.heal()
    injection.healed()
    after = {node.spec.name: children(scene, node) for node in scene.consumers.values()}
    assert after["consumer-0"] == before["consumer-0"]
    gone = before["consumer-1"].keys() - after["consumer-1"].keys()
    assert [before["consumer-1"][pid] for pid in gone] == [name]


def test_who_has_no_such_process_is_no_target(scene: Scene) -> None:
    bare = dataclasses.replace(scene, consumers=dict(scene.producers))
    for path in (scene.runtime.root / "producer-0").glob("w1.*.pid"):
        path.unlink()
    with pytest.raises(HarnessError, match="producer-0 has no process-worker"):
        aim(bare, "kill", target="process-worker")


@pytest.mark.parametrize("kind", ["kill", "terminate"])
def test_who_has_ended_already_is_not_struck(scene: Scene, kind: str) -> None:
    injection = aim(scene, kind, target="consumer")
    (name,) = injection.struck
    scene.nodes[name].kill()
    try:
        assert aim(scene, kind, target="consumer").struck != (name,)  # there is another one
        with pytest.raises(HarnessError, match="had ended before it was struck"):
            injection.inject()
    finally:
        injection.heal()


@pytest.mark.parametrize(
    ("name", "timed", "expected"),
    [("TERM", False, "worker-stop"), ("INT", False, "graceful-stop"), ("HUP", True, "worker-stop")],
)
def test_the_class_of_a_stop_says_whether_tasks_may_finish(scene: Scene, name: str, timed: bool, expected: str) -> None:
    timed_scene = dataclasses.replace(scene, stops_are_timed=timed)
    assert aim(timed_scene, "terminate", target="consumer", signal=name).classes == (expected,)


@pytest.mark.parametrize("direction", ["to-target", "from-target"])
def test_a_partition_in_one_direction_leaves_the_other_open(scene: Scene, direction: Any) -> None:
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
