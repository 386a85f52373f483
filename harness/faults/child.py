"""SIGKILL to one forked process of a consumer, as the kernel does it when memory runs out; its parent lives on."""

from __future__ import annotations

import signal
import time

from harness.faults import Scene
from harness.faults.held import hold_working
from harness.faults.targets import AGENT_TIMEOUT_S, several, up
from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeState

GONE_TIMEOUT_S = 5.0


class ChildKill:
    """One such kill. A `scheduler` is that of the consumer whose scheduler was the last to find tasks due."""

    def __init__(self, scene: Scene, role: str, draw: int) -> None:
        consumers = up(several("consumer", scene))
        consumers = [node for node in consumers if node.spec.name in scene.meant] or consumers
        if role == "scheduler":
            consumers = [node for node in consumers if node.spec.name == scene.agents.popped_by] or consumers
        self._scene, self._role = scene, role
        self._node = consumers[draw % len(consumers)]
        name = self._node.spec.name
        self._before = children(scene, self._node)
        mine = sorted(pid for pid, child in self._before.items() if (child == "scheduler") == (role == "scheduler"))
        if not mine:
            raise HarnessError(f"{name} has no {role}", remedy="consumers: {worker_type: process}")
        if role == "process-worker":
            hold_working(scene, self._node)
            busy = scene.agents.holding(name)
            mine = [pid for pid in mine if pid in busy] or mine
        self._pid = mine[draw // len(consumers) % len(mine)]
        self._child = self._before[self._pid]
        self.struck = (name,)
        self.classes = ("scheduler-crash",) if role == "scheduler" else ("worker-crash",)

    def inject(self) -> str:
        """Kill, and see it gone and its parent alive."""
        self._node.signal_process(self._pid, signal.SIGKILL)
        self._node.resume()  # it was stopped with a task in hand
        deadline = time.monotonic() + GONE_TIMEOUT_S
        while self._pid in self._node.processes():
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"waited {GONE_TIMEOUT_S:g} s for {self._who} to be gone after SIGKILL")
            time.sleep(0.001)
        if self._node.state() is not NodeState.RUNNING:
            raise HarnessError(f"with {self._who} all of {self.struck[0]} is {self._node.state().value}")
        return f"{self._who} is gone, and its parent lives"

    def heal(self) -> None:
        """Nothing: the consumer itself replaces it."""

    def healed(self) -> str:
        """See another process work under its name."""
        deadline = time.monotonic() + AGENT_TIMEOUT_S
        while True:
            now = children(self._scene, self._node)
            new = [pid for pid, child in now.items() if child == self._child and pid not in self._before]
            if new:
                return f"process {new[0]} has taken the place of {self._who}"
            if self._node.state() is not NodeState.RUNNING:
                raise DeadlineExceeded(f"{self.struck[0]} did not stay up without {self._who}")
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"waited {AGENT_TIMEOUT_S:g} s for {self.struck[0]} to replace {self._who}")
            time.sleep(0.01)

    @property
    def _who(self) -> str:
        return f"process {self._pid} ({self.struck[0]}/{self._child})"


def children(scene: Scene, node: Node) -> dict[int, str]:
    """The living forked processes of a consumer that have written something, by number, with Huey's names for them."""
    names = scene.agents.processes(node.spec.name)
    return {pid: names[pid] for pid in node.processes() if pid in names}
