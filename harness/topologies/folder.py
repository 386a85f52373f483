"""`folder`: no servers, but one folder that all agents of a run share."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.protocols import HarnessError, Runtime
from harness.scenario import TopologySpec
from harness.topologies import TOPOLOGIES
from harness.topologies.serverless import Serverless


class Folder(Serverless):
    """A folder on the host's own file system, at the same path in every agent."""

    kind = "folder"

    def __init__(self, runtime: Runtime, spec: TopologySpec) -> None:
        super().__init__(runtime, spec)
        self.path = runtime.root / "folder"
        self._runtime, self._spec = runtime, spec

    def start(self) -> None:
        """Make it."""
        self.path.mkdir()
        if self._spec.disk_mb is not None:
            make_disk = self._runtime.block_disk if self._spec.disk == "block" else self._runtime.small_disk
            make_disk(self.path, self._spec.disk_mb)

    def reset(self) -> None:
        """Empty it, and leave it in its place: nodes may have it mounted. Raises HarnessError if it will not."""
        try:
            for path in self.path.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        except OSError as error:
            raise HarnessError(f"cannot empty {self.path}: {error.strerror}: {error.filename}") from error

    def connection(self) -> dict[str, object]:
        """`path`, the folder."""
        return {"path": str(self.path)}

    @property
    def client_files(self) -> tuple[Path, ...]:
        """The folder."""
        return (self.path,)


TOPOLOGIES.register("folder")(Folder)
