"""`client-pause`: a server lets its clients wait, as before a planned failover; healed by letting them go on.

What they asked meanwhile is carried out then. (Redis docs: CLIENT PAUSE.)
"""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Scene
from harness.faults.asking import Question
from harness.faults.process import OneProcess, classes_of
from harness.faults.targets import READY_TIMEOUT_S, one
from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeState
from harness.scenario import FaultSpec

#: A held-back question is known by this much silence.
SILENCE_S = 0.1
#: Who does not come to heal lets the clients wait for so much longer.
SPARE_S = 5.0


class ClientPauseSpec(FaultSpec):
    """A server accepts requests, and carries them out later: writes alone, or whatever is asked."""

    kind: Literal["client-pause"]
    mode: Literal["write", "all"] = Field("write", description="what has to wait: writes, or everything")
    targets: ClassVar = ("primary-of-queue",)
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    color: ClassVar = "#b9770e"


class ClientPauseInjection(OneProcess):
    """One such pause."""

    def __init__(self, spec: ClientPauseSpec, scene: Scene, node: Node) -> None:
        # Where everything waits, sentinels are not answered either.
        classes = classes_of(scene, node, "", "node-pause") if spec.mode == "all" else ("node-pause",)
        super().__init__(scene, node, *classes)
        self._spec = spec

    def inject(self) -> str:
        """Pause; see a question of ours not answered, where one that need not wait is."""
        self.must_be_up()
        topology, mode = self.scene.topology, self._spec.mode
        spare_s = SPARE_S if mode == "write" else 0.0  # nobody can end the other before its time
        topology.ask(self.node, "CLIENT", "PAUSE", round((self._spec.for_ + spare_s) * 1000), mode.upper())
        held = ("DEL", f"{self.scene.queue_key}.probe") if mode == "write" else ("PING",)
        said = Question(topology, self.node, *held).answer(SILENCE_S)
        if said is not None:
            raise HarnessError(f"{self.name} answered {held[0]} although it was to let clients wait: {said}")
        if mode == "write":
            topology.ask(self.node, "PING")
        others = "PING was answered at once" if mode == "write" else f"for {self._spec.for_:g} s"
        return f"{self.name}: no answer to {held[0]} within {SILENCE_S:g} s; {others}"

    def undo(self) -> None:
        """Let them go on. Where everything waits, this does too, until the time is over."""
        deadline = time.monotonic() + self._spec.for_ + READY_TIMEOUT_S
        while self.node.state() is not NodeState.EXITED:
            try:
                self.scene.topology.ask(self.node, "CLIENT", "UNPAUSE")
                return
            except HarnessError:
                if time.monotonic() > deadline:
                    raise DeadlineExceeded(f"waited for {self.name} to answer its clients again") from None
                time.sleep(0.005)


class ClientPause:
    """Registered as `client-pause`."""

    spec = ClientPauseSpec

    def aim(self, spec: ClientPauseSpec, scene: Scene, draw: int) -> ClientPauseInjection:
        """At the queue's primary."""
        return ClientPauseInjection(spec, scene, one(spec.target, scene, draw))


FAULTS.register("client-pause")(ClientPause())
