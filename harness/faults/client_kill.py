"""`client-kill`: a server drops the connections of all its clients at once; they may come back."""

from __future__ import annotations

from typing import ClassVar, Literal

from harness.faults import FAULTS, Scene
from harness.faults.process import OneProcess
from harness.faults.targets import one
from harness.protocols import HarnessError, Node
from harness.scenario import FaultSpec


class ClientKillSpec(FaultSpec):
    """A server closes the connections of all its clients at once, with whatever they were waiting for."""

    kind: Literal["client-kill"]
    targets: ClassVar = ("primary-of-queue", "sentinel")
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    color: ClassVar = "#a04000"


class ClientKillInjection(OneProcess):
    """One such moment."""

    def __init__(self, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, "connection-loss")

    def inject(self) -> str:
        """Close them; see in the server's list that none of those that were there is left."""
        self.must_be_up()
        before = self._connected()
        self.scene.topology.ask(self.node, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        # Ours is the last that CLIENT LIST is answered on, and is spared.
        left = before & self._connected()
        if len(left) > 1:
            raise HarnessError(f"{len(left)} of {len(before)} connections to {self.name} are still there")
        return f"{self.name}: {len(before - left)} connections closed, says its list of clients"

    def _connected(self) -> frozenset[str]:
        """The ids of its clients' connections. (Those that are blocked count as normal ones, too.)"""
        lines = str(self.scene.topology.ask(self.node, "CLIENT", "LIST", "TYPE", "normal")).splitlines()
        return frozenset(word for line in lines for word in line.split() if word.startswith("id="))

    def undo(self) -> None:
        """Nothing: clients connect again by themselves."""


class ClientKill:
    """Registered as `client-kill`."""

    spec = ClientKillSpec

    def aim(self, spec: ClientKillSpec, scene: Scene, draw: int) -> ClientKillInjection:
        """At the role's server."""
        return ClientKillInjection(scene, one(spec.target, scene, draw))


FAULTS.register("client-kill")(ClientKill())
