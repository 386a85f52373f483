"""What every fault owes, whatever it strikes: it lands, it heals, both are seen from outside it, nothing is left."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.faults import FAULTS, Scene
from harness.faults.targets import GROUPS, PRODUCER
from harness.protocols import NodeState
from harness.topologies.server import wait_for

from .cases import Case, suite_cases
from .scene import aim, primary

pytestmark = [pytest.mark.cluster, pytest.mark.world]
#: Targets whose processes are struck whole, of those that are seen.
STRUCK_WHOLE = ("consumer", "primary-of-queue", PRODUCER, *GROUPS)
STATES = {"kill": NodeState.EXITED, "pause": NodeState.PAUSED, "terminate": NodeState.EXITED}


@pytest.mark.parametrize("case", suite_cases(), ids=lambda case: case.name)
def test_it_lands_and_heals(scene_on: Callable[[str], Scene], poisoned_on: Callable[[str], Scene], case: Case) -> None:
    scene = (poisoned_on if case.poisons else scene_on)(case.topology)
    kind, fields = case.kind, case.fields
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
