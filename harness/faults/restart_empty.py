"""`restart-empty`: a primary is killed, its data are removed, and it is started again before anyone fails over.

So does a server without persistence under a supervisor that starts it again at once. Its replicas then become as empty
as it is (Redis docs: replication, Safety of replication when master has persistence turned off).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar, Literal

from harness.faults import FAULTS, Scene
from harness.faults.back_at_once import BackAtOnce
from harness.faults.process import SERVERS_TAKE
from harness.faults.targets import one
from harness.protocols import HarnessError, Node
from harness.scenario import FaultSpec

#: What a server keeps its data in. Not nodes.conf: who owns which slot is not what is lost.
DATA_FILES = ("appendonlydir", "appendonly.aof", "*.rdb")


class RestartEmptySpec(FaultSpec):
    """A primary is killed and started again at once without its data, as one without persistence would be."""

    kind: Literal["restart-empty"]
    targets: ClassVar = ("primary-of-queue",)
    color: ClassVar = "#641e16"
    takes_time: ClassVar = f"{SERVERS_TAKE} It has landed when all who watch the primary see it again."


class RestartEmptyInjection(BackAtOnce):
    """One such restart."""

    def __init__(self, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, "data-loss")

    def inject(self) -> str:
        """Kill, remove, start; see it be the primary still, and the others see it."""
        keys = self.scene.topology.ask(self.node, "DBSIZE")
        removed = self.crash(self._remove)
        return f"{self.name}: {keys} keys, then killed; {', '.join(removed)} removed; it is primary again"

    def _remove(self) -> tuple[str, ...]:
        removed = remove_data(self.node.spec.workdir)
        if not removed:
            raise HarnessError(f"{self.name} had no data files to be removed ({', '.join(DATA_FILES)})")
        return removed


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
