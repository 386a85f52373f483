"""`busy-script`: a long Lua script blocks a server; healed by SCRIPT KILL.

Until its busy-reply-threshold is over the server answers nobody; then it answers everybody BUSY (Redis docs:
programmability, eval-intro). Sentinels that have waited for long enough end the script themselves
(sentinel.c, sentinelPingReplyCallback).
"""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Scene
from harness.faults.asking import Question, setting
from harness.faults.process import OneProcess, classes_of
from harness.faults.targets import READY_TIMEOUT_S, one
from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeState
from harness.scenario import Duration, FaultSpec

#: The script ends by itself so long after its time, whatever becomes of us.
SPARE_S = 5.0
LANDED_TIMEOUT_S = 2.0
#: Its older name, which all servers know: since Redis 7 busy-reply-threshold.
THRESHOLD = "lua-time-limit"
_SCRIPT = """
local function now() local t = redis.call('time') return t[1] * 1000 + t[2] / 1000 end
local till = now() + tonumber(ARGV[1])
while now() < till do end
"""


class BusyScriptSpec(FaultSpec):
    """A script keeps a server from everything else: it is silent for a while, and then says that it is busy."""

    kind: Literal["busy-script"]
    threshold: Duration = Field(
        0.1, description="how long the server is silent before it says BUSY (busy-reply-threshold; its own is 5s)"
    )
    targets: ClassVar = ("primary-of-queue",)
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    color: ClassVar = "#6c3483"


class BusyScriptInjection(OneProcess):
    """One such script."""

    def __init__(self, spec: BusyScriptSpec, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, *classes_of(scene, node, "", "refusal"))
        self._spec = spec
        self._before = ""

    def inject(self) -> str:
        """Start it; see another connection told so, or not answered at all."""
        self.must_be_up()
        topology = self.scene.topology
        self._before = setting(topology, self.node, THRESHOLD)
        topology.ask(self.node, "CONFIG", "SET", THRESHOLD, round(self._spec.threshold * 1000))
        script = Question(topology, self.node, "EVAL", _SCRIPT, 0, round((self._spec.for_ + SPARE_S) * 1000))
        deadline = time.monotonic() + LANDED_TIMEOUT_S
        while True:
            said = Question(topology, self.node, "PING").answer(LANDED_TIMEOUT_S) or "TimeoutError"
            if "BUSY" in said.upper():
                return f"{self.name}: a script runs, and others are answered BUSY"
            if "TimeoutError" in said:
                return f"{self.name}: a script runs, and others are not answered"
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"{self.name} answers as ever ({said}); of the script: {script.answer(0)}")
            time.sleep(0.002)

    def undo(self) -> None:
        """End the script, and set the threshold back. Until it is over, the server does not listen to that either."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while self.node.state() is not NodeState.EXITED:
            try:
                self.scene.topology.ask(self.node, "SCRIPT", "KILL")
            except HarnessError as error:
                if "NOTBUSY" in str(error) or "No scripts in execution" in str(error):
                    break
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"waited {READY_TIMEOUT_S:g} s for {self.name} to end a script")
            time.sleep(0.005)
        if self._before and self.node.state() is not NodeState.EXITED:
            self.scene.topology.ask(self.node, "CONFIG", "SET", THRESHOLD, self._before)


class BusyScript:
    """Registered as `busy-script`."""

    spec = BusyScriptSpec

    def aim(self, spec: BusyScriptSpec, scene: Scene, draw: int) -> BusyScriptInjection:
        """At the queue's primary."""
        return BusyScriptInjection(spec, scene, one(spec.target, scene, draw))


FAULTS.register("busy-script")(BusyScript())
