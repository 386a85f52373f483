"""`kill-backend`: a PostgreSQL server ends the processes that serve one client connection, or all of them.

Whoever was in a transaction has it rolled back; who was in the midst of a commit does not know (errors_postgres.py).
"""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Scene
from harness.faults.process import OneProcess
from harness.faults.targets import one
from harness.protocols import DeadlineExceeded, HarnessError, Node
from harness.scenario import FaultSpec

GONE_TIMEOUT_S = 5.0
_CLIENTS = "from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'"


class KillBackendSpec(FaultSpec):
    """A PostgreSQL server ends the connections of one of its clients, or of all, as an administrator does."""

    kind: Literal["kill-backend"]
    which: Literal["one", "all"] = Field("all", description="how many of the connections")
    targets: ClassVar = ("primary-of-queue",)
    topologies: ClassVar = frozenset({"postgres"})
    color: ClassVar = "#b03a2e"


class KillBackendInjection(OneProcess):
    """One such moment."""

    def __init__(self, spec: KillBackendSpec, scene: Scene, node: Node, draw: int) -> None:
        super().__init__(scene, node, "connection-loss")
        there = sorted(self._connected())
        if not there:
            raise HarnessError(f"nobody is connected to {self.name}")
        self._chosen = frozenset(there if spec.which == "all" else [there[draw % len(there)]])

    def inject(self) -> str:
        """End them; see their processes gone from the server's own list."""
        self.must_be_up()
        pids = ", ".join(str(pid) for pid in sorted(self._chosen))
        self.scene.topology.ask(self.node, f"select pg_terminate_backend(pid) {_CLIENTS} and pid in ({pids})")
        deadline = time.monotonic() + GONE_TIMEOUT_S
        while left := self._connected() & self._chosen:
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"waited {GONE_TIMEOUT_S:g} s for {len(left)} of {self.name}'s to end")
            time.sleep(0.005)
        return f"{self.name}: {len(self._chosen)} connections ended, says its list of processes"

    def _connected(self) -> frozenset[int]:
        rows = self.scene.topology.ask(self.node, f"select pid {_CLIENTS}")
        return frozenset(int(pid) for (pid,) in rows)

    def undo(self) -> None:
        """Nothing: clients connect again by themselves."""


class KillBackend:
    """Registered as `kill-backend`."""

    spec = KillBackendSpec

    def aim(self, spec: KillBackendSpec, scene: Scene, draw: int) -> KillBackendInjection:
        """At the connections that there are now."""
        return KillBackendInjection(spec, scene, one(spec.target, scene, draw), draw)


FAULTS.register("kill-backend")(KillBackend())
