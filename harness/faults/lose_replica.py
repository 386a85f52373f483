"""`lose-replica`: a replica is killed and its data are removed; healed by starting it, and seeing it filled again."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import ClassVar, Literal

from harness.faults import FAULTS, Injection, Scene
from harness.faults.process import SERVERS_TAKE, OneProcess
from harness.faults.restart_empty import DATA_FILES, remove_data
from harness.faults.targets import FAILS_OVER, one
from harness.protocols import HarnessError, Node, NodeState
from harness.scenario import FaultSpec


class LoseReplicaSpec(FaultSpec):
    """A replica is killed and its data are removed, as when a new machine takes the place of a lost one."""

    kind: Literal["lose-replica"]
    targets: ClassVar = ("replica-of-queue", "any-replica")
    topologies: ClassVar = FAILS_OVER
    color: ClassVar = "#935116"
    takes_time: ClassVar = SERVERS_TAKE


class LoseReplicaInjection(OneProcess):
    """One such loss."""

    def __init__(self, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, "node-crash")
        self._syncs_before: dict[str, int] = {}
        self._syncs = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """How many full synchronisations it took."""
        return {"full_syncs": self._syncs}

    def inject(self) -> str:
        """Kill, remove; see it gone, and its data too."""
        self.must_be_up()
        if str(self.scene.topology.ask(self.node, "ROLE")[0]) != "slave":
            raise HarnessError(f"{self.name} is no replica any more")
        self._syncs_before = self._full_syncs()
        self.node.kill()
        state, status = self.node.state(), self.node.exit_status()
        if state is not NodeState.EXITED or status != -signal.SIGKILL:
            raise HarnessError(f"{self.name} is {state.value} with exit status {status} after a SIGKILL")
        removed = remove_data(self.node.spec.workdir)
        if not removed:
            raise HarnessError(f"{self.name} had no data files to be removed ({', '.join(DATA_FILES)})")
        return f"{self.name}: ended by signal 9; {', '.join(removed)} removed"

    def healed(self) -> str:
        """See all servers agree again, and that a primary sent it all that there is."""
        proof = super().healed()
        # A server that was started meanwhile counts from nothing.
        grown = (now - min(self._syncs_before.get(name, 0), now) for name, now in self._full_syncs().items())
        self._syncs = sum(grown)
        if not self._syncs:
            raise HarnessError(f"no server counts a full synchronisation since {self.name} was lost")
        return f"{proof}; {self._syncs} full synchronisation(s) since it was lost, say the servers"

    def _full_syncs(self) -> dict[str, int]:
        """How many full synchronisations each server has served since its start."""
        topology = self.scene.topology
        found = {}
        for member in topology.members():
            if member.role in ("primary", "replica"):
                lines = str(topology.ask(topology.nodes[member.name], "INFO", "stats")).splitlines()
                count = next(line.partition(":")[2] for line in lines if line.startswith("sync_full:"))
                found[member.name] = int(count)
        return found


class LoseReplica:
    """Registered as `lose-replica`."""

    spec = LoseReplicaSpec

    def aim(self, spec: LoseReplicaSpec, scene: Scene, draw: int) -> Injection:
        """At one replica."""
        return LoseReplicaInjection(scene, one(spec.target, scene, draw))


FAULTS.register("lose-replica")(LoseReplica())
