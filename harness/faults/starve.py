"""`starve`: a server or a consumer gets next to no CPU time; healed by letting it have what it needs again.

As in a container with a small limit, or beside a greedy neighbour: it is not stopped, as by `pause`, but runs for a
millisecond at a time, and then waits for its next period (docs.kernel.org, scheduler/sched-bwc).
"""

from __future__ import annotations

import time
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Injection, Scene
from harness.faults.at_once import at
from harness.faults.process import OneProcess, classes_of
from harness.faults.targets import GROUPS, ONE_ROLES, is_agent
from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeState
from harness.scenario import FaultSpec, Share

#: Several at once share the time that we have to give them work.
LANDED_TIMEOUT_S = 10.0
#: In how many periods it must have been kept waiting.
THROTTLED_MIN = 2
_WORK_S = 0.03
_PAUSE_S = 0.005


class StarveSpec(FaultSpec):
    """A server or consumer gets a small share of one CPU, a millisecond at a time.

    `nodes` are all servers at once, `consumers` all consumers, `quorum` as many sentinels as leave no majority.
    """

    kind: Literal["starve"]
    share: Annotated[Share, Field(ge=0.001, le=1)] = Field(
        0.01, description="how much of one CPU it gets; 0.1% at least, a millisecond each second"
    )
    targets: ClassVar = (*ONE_ROLES, *GROUPS)
    needs: ClassVar = frozenset({"cpu-limits"})
    color: ClassVar = "#af601a"
    takes_time: ClassVar = (
        "It has landed when the kernel has kept the node waiting in two periods, and a period is 100 ms at 1%. It has "
        "healed when it was not kept waiting any more for that long."
    )


class StarveInjection(OneProcess):
    """One such starvation."""

    def __init__(self, spec: StarveSpec, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, *classes_of(scene, node, "worker-pause", "node-pause"))
        self._share = spec.share

    def inject(self) -> str:
        """Limit it; see the kernel keep it waiting, time and again."""
        self.must_be_up()
        # What it was kept waiting before is counted where it was before.
        self.scene.runtime.limit_cpu(self.node, None)
        before, began_s = self.scene.runtime.usage(self.node), time.monotonic()
        self.scene.runtime.limit_cpu(self.node, self._share)
        while (now := self.scene.runtime.usage(self.node)).throttled < before.throttled + THROTTLED_MIN:
            if time.monotonic() > began_s + LANDED_TIMEOUT_S:
                raise DeadlineExceeded(
                    f"waited {LANDED_TIMEOUT_S:g} s for {self.name} to want more than {self._share:.1%} of one CPU"
                )
            self._give_it_work()
            time.sleep(_PAUSE_S)
        return (
            f"{self.name}: gets {self._share:.1%} of one CPU; the kernel has kept it waiting in "
            f"{now.throttled - before.throttled} periods"
        )

    def _give_it_work(self) -> None:
        """A server that nobody asks anything wants nothing."""
        until_s = time.monotonic() + _WORK_S
        while not is_agent(self.name, self.scene) and time.monotonic() < until_s:
            self.scene.topology.ping(self.node)

    def undo(self) -> None:
        """Let it have what it likes; start it, if it ended meanwhile."""
        if self.node.state() is not NodeState.EXITED:
            self.scene.runtime.limit_cpu(self.node, None)
        super().undo()

    def healed(self) -> str:
        """See it work again, and the kernel not keep it waiting."""
        proof = super().healed()
        before = self.scene.runtime.usage(self.node)
        # Longer than a period: what was over its limit when that was lifted is let go at once.
        time.sleep(0.1)
        after = self.scene.runtime.usage(self.node)
        if after.throttled != before.throttled:
            raise HarnessError(f"the kernel keeps {self.name} waiting for CPU time still")
        return f"{proof}; the kernel does not keep it waiting any more"


class Starve:
    """Registered as `starve`."""

    spec = StarveSpec

    def aim(self, spec: StarveSpec, scene: Scene, draw: int) -> Injection:
        """At the role's node, or at all of the group."""
        return at(spec.target, scene, draw, lambda node: StarveInjection(spec, scene, node))


FAULTS.register("starve")(Starve())
