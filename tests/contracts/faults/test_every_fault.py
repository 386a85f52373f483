"""What every fault owes, whatever it strikes: it lands, it heals, both are seen from outside it, nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.faults import FAULTS, Scene
from harness.faults.targets import GROUPS, PRODUCER, SERVER_GROUPS, SERVER_ROLES
from harness.faults.toxic import ToxicSpec
from harness.protocols import NodeState
from harness.scenario import FaultSpec
from harness.topologies.server import wait_for

from .scene import aim, primary

pytestmark = [pytest.mark.cluster, pytest.mark.world]
#: Where a fault is tried: the first of these where it means anything, and has its target.
TOPOLOGIES = ("cluster", "sentinel", "standalone", "postgres", "folder")
#: What Huey class stands for a topology, to faults that ask.
HUEYS = {
    "postgres": "huey.contrib.sql_huey:PostgresHuey",
    "folder": "huey:SqliteHuey",
}


def case(kind: str, **fields: str) -> Any:
    """A fault with these fields, and where it is tried."""
    spec: FaultSpec = FAULTS.get(kind).spec.model_validate({"kind": kind, "at": {"elapsed": "0s"}, **fields})
    for topology in TOPOLOGIES:
        has_target = topology in {**SERVER_ROLES, **SERVER_GROUPS}.get(spec.target, TOPOLOGIES)
        if has_target and spec.why_not(topology, HUEYS.get(topology, "huey:RedisHuey")) is None:
            return pytest.param(kind, fields, topology, id="-".join((kind, *fields.values())))
    raise AssertionError(f"{kind} {fields} means nothing anywhere")


CASES = [
    *(
        case(kind, target=target)
        for kind, fault in FAULTS.items()
        for target in fault.spec.targets
        # Toxics differ by what they do, not by whom they meet: one node, and several.
        if not issubclass(fault.spec, ToxicSpec) or target in ("any-primary", "primaries")
    ),
    *(case(kind, target="primaries", **{"from": "replicas"}) for kind in ("latency", "timeout")),
    case("latency", target="any-primary", **{"from": "consumer"}),
    case("latency", target="sentinel"),
    *(case("terminate", target="consumer", signal=name) for name in ("INT", "HUP")),
    *(case("out-of-memory", target="primary-of-queue", policy=name) for name in ("allkeys-random", "volatile-lru")),
    case("kill-backend", target="primary-of-queue", which="one"),
    case("client-pause", target="primary-of-queue", mode="all", **{"for": "200ms"}),
    *(case("failover", target="primary-of-queue", how=how) for how in ("force", "takeover")),
]
#: Targets whose processes are struck whole, of those that are seen.
STRUCK_WHOLE = ("consumer", "primary-of-queue", PRODUCER, *GROUPS)
STATES = {"kill": NodeState.EXITED, "pause": NodeState.PAUSED, "terminate": NodeState.EXITED}


@pytest.mark.parametrize(("kind", "fields", "topology"), CASES)
def test_it_lands_and_heals(
    scene_on: Callable[[str], Scene],
    poisoned_on: Callable[[str], Scene],
    kind: str,
    fields: dict[str, str],
    topology: str,
) -> None:
    scene = (poisoned_on if "proxies" in FAULTS.get(kind).spec.needs else scene_on)(topology)
    missing = FAULTS.get(kind).spec.needs - scene.runtime.capabilities
    if missing:
        pytest.skip(f"{scene.runtime.describe()} does not have {', '.join(sorted(missing))}")
    injection = aim(scene, kind, **fields)
    assert injection.struck
    assert injection.classes
    proof = injection.inject()
    try:
        assert proof
        if kind in ("partition", "ring", "bridge"):
            assert scene.runtime.cuts()
        elif kind == "lost-tail":
            wait_for(lambda: primary(scene) not in injection.struck[:1], 10, lambda: "a replica to take over")
        elif kind in STATES and fields["target"] in STRUCK_WHOLE and "HUP" not in fields.values():
            assert {scene.nodes[name].state() for name in injection.struck} == {STATES[kind]}
    finally:
        injection.heal()
    assert injection.healed()
    assert scene.runtime.cuts() == frozenset()
    assert {node.state() for node in scene.nodes.values()} == {NodeState.RUNNING}
    scene.topology.wait_ready(1)
