"""`restart-empty`: a primary is killed, its data are removed, and it is started again before anyone fails over.

So does a server without persistence under a supervisor that starts it again at once. Its replicas then become as empty
as it is (Redis docs: replication, Safety of replication when master has persistence turned off).
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import ClassVar, Literal

from harness.faults import FAULTS, Scene
from harness.faults.patience import patient
from harness.faults.process import SERVERS_TAKE, OneProcess
from harness.faults.targets import one
from harness.protocols import DeadlineExceeded, HarnessError, Node
from harness.scenario import FaultSpec

#: What a server keeps its data in. Not nodes.conf: who owns which slot is not what is lost.
DATA_FILES = ("appendonlydir", "appendonly.aof", "*.rdb")
ANSWER_TIMEOUT_S = 5.0


class RestartEmptySpec(FaultSpec):
    """A primary is killed and started again at once without its data, as one without persistence would be."""

    kind: Literal["restart-empty"]
    targets: ClassVar = ("primary-of-queue",)
    color: ClassVar = "#641e16"
    takes_time: ClassVar = f"{SERVERS_TAKE} It has landed when all who watch the primary see it again."


class RestartEmptyInjection(OneProcess):
    """One such restart."""

    def __init__(self, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, "data-loss")

    def inject(self) -> str:
        """Kill, remove, start; see it be the primary still, and the others see it."""
        keys = self.scene.topology.ask(self.node, "DBSIZE")
        # A container may take longer to start than others wait before they fail over.
        with patient(self.scene.topology, self.node):
            removed = self._empty()
        return f"{self.name}: {keys} keys, then killed; {', '.join(removed)} removed; it is primary again"

    def _empty(self) -> tuple[str, ...]:
        self.node.kill()
        removed = remove_data(self.node.spec.workdir)
        if not removed:
            raise HarnessError(f"{self.name} had no data files to be removed ({', '.join(DATA_FILES)})")
        self.node.start()
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while not self.scene.topology.ping(self.node):
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"waited {ANSWER_TIMEOUT_S:g} s for {self.name} to answer after its start")
            time.sleep(0.002)
        role = str(self.scene.topology.ask(self.node, "ROLE")[0])
        if role != "master":
            raise HarnessError(f"{self.name} is a {role} after its start: somebody took over before it was back")
        return removed

    def healed(self) -> str:
        """See all servers agree again, and on the same primary."""
        proof = super().healed()
        now = one("primary-of-queue", self.scene, 0).spec.name
        if now != self.name:
            raise HarnessError(f"{now} took over from {self.name}, which was empty and back too late")
        return f"{proof}; it is primary still"


def remove_data(folder: Path) -> tuple[str, ...]:
    """Remove a server's data files; their names."""
    found = sorted(path for pattern in DATA_FILES for path in folder.glob(pattern))
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return tuple(path.name for path in found)


class RestartEmpty:
    """Registered as `restart-empty`."""

    spec = RestartEmptySpec

    def aim(self, spec: RestartEmptySpec, scene: Scene, draw: int) -> RestartEmptyInjection:
        """At the queue's primary."""
        return RestartEmptyInjection(scene, one(spec.target, scene, draw))


FAULTS.register("restart-empty")(RestartEmpty())
