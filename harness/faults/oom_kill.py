"""`oom-kill`: the kernel ends a server or a consumer that may have no more memory; healed by a new one without a limit.

A process that touches a page beyond what its control group may have is ended by SIGKILL (docs.kernel.org, cgroup-v2,
memory.max; Docker docs: resource constraints). To the others that is a crash like any other. Unlike `kill` it strikes
in the midst of an allocation, and the largest process of a node goes first: of PostgreSQL that is some backend, and the
server then ends the others by itself.
"""

from __future__ import annotations

import signal
import time
from typing import ClassVar, Literal

from harness.faults import FAULTS, Injection, Scene
from harness.faults.at_once import at
from harness.faults.process import SERVERS_TAKE, OneProcess, classes_of
from harness.faults.targets import AGENT_ROLES, ONE_ROLES, is_agent
from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeState
from harness.scenario import FaultSpec

LANDED_TIMEOUT_S = 15.0
#: What a server is asked to keep.
_KEEP_BYTES = 1 << 20
_PAUSE_S = 0.005


class OomKillSpec(FaultSpec):
    """A server or consumer may have no more memory than it has, and is ended by the kernel's OOM killer.

    It is started again, with the data it had and without the limit, when the time is up.
    """

    kind: Literal["oom-kill"]
    targets: ClassVar = ONE_ROLES
    needs: ClassVar = frozenset({"memory-limits"})
    ends: ClassVar = True
    color: ClassVar = "#78281f"
    takes_time: ClassVar = f"The kernel ends it when somebody in its control group asks for memory. {SERVERS_TAKE}"

    def why_not(self, topology: str, huey: str) -> str | None:
        """A server that is many processes does not end when one of them does."""
        if topology == "postgres" and self.target not in AGENT_ROLES:
            return f"{self.kind} ends one process, and a PostgreSQL server is many: see kill-backend"
        return super().why_not(topology, huey)


class OomKillInjection(OneProcess):
    """One such end."""

    def __init__(self, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, *classes_of(scene, node, "worker-crash", "node-crash"))
        self._probe = f"{scene.queue_key}.probe"

    def inject(self) -> str:
        """Limit it to what it has, and have somebody ask for more; see the kernel say that it has ended it."""
        self.must_be_up()
        used, kills = self.scene.runtime.usage(self.node), self.scene.runtime.oom_kills(self.node)
        deadline = time.monotonic() + LANDED_TIMEOUT_S
        self._leave_no_room()
        with self.scene.runtime.crowded(self.node):
            while self.node.state() is not NodeState.EXITED:
                if time.monotonic() > deadline:
                    raise DeadlineExceeded(f"waited {LANDED_TIMEOUT_S:g} s for the kernel to end {self.name}")
                self._press()
                time.sleep(_PAUSE_S)
        status = self.node.exit_status()
        if status != -signal.SIGKILL:
            raise HarnessError(f"{self.name} ended with exit status {status}, and not by the kernel's SIGKILL")
        while self.scene.runtime.oom_kills(self.node) <= kills:
            if time.monotonic() > deadline:
                raise HarnessError(f"{self.name} was ended by SIGKILL, and the kernel says nothing of memory")
            time.sleep(_PAUSE_S)
        return f"{self.name}: might have no more than its {used.memory_bytes:,} bytes; the kernel says oom_kill"

    def _press(self) -> None:
        """Take what room there is again by now; have a server ask for some by itself."""
        try:
            self._leave_no_room()
            if not is_agent(self.name, self.scene):
                self.scene.topology.ask(self.node, "APPEND", self._probe, "x" * _KEEP_BYTES)
        except HarnessError:
            pass  # it has ended, or refuses: the next look tells

    def _leave_no_room(self) -> None:
        """Let it have what it has, at most."""
        if not self.scene.runtime.limit_memory(self.node, 0):
            # Nothing is taken away there.
            self.scene.runtime.limit_memory(self.node, self.scene.runtime.usage(self.node).memory_bytes)

    def undo(self) -> None:
        """Take the limit away, and start it again."""
        self.scene.runtime.limit_memory(self.node, None)
        super().undo()

    def healed(self) -> str:
        """See it work again, with nothing of ours left in it."""
        proof = super().healed()
        if not is_agent(self.name, self.scene):
            primary = self.scene.topology.primary_of(self.scene.queue_key)
            self.scene.topology.ask(primary, "DEL", self._probe)
        return f"{proof}; without a limit"


class OomKill:
    """Registered as `oom-kill`."""

    spec = OomKillSpec

    def aim(self, spec: OomKillSpec, scene: Scene, draw: int) -> Injection:
        """At the role's node."""
        return at(spec.target, scene, draw, lambda node: OomKillInjection(scene, node))


FAULTS.register("oom-kill")(OomKill())
