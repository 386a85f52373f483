"""`disk-full`: the disk that a server, or a storage's folder, lies on is filled; healed by freeing it again.

A server whose append-only file cannot be written refuses writes (MISCONF) until it can, which it tries again each
second (aof.c, flushAppendOnlyFile; Redis docs: persistence). It refuses PING too (server.c, processCommand), so that
sentinels take it for down (Redis docs: Sentinel, valid replies), and a replica takes over; nodes of a cluster do not
ask by PING. Files and SQLite databases are written by clients themselves.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from harness.faults import FAULTS, Injection, Scene
from harness.faults.asking import PROBE_EXPIRES_S, info, take_a_write
from harness.faults.process import OneProcess
from harness.faults.targets import READY_TIMEOUT_S, one
from harness.protocols import DeadlineExceeded, HarnessError, Node
from harness.scenario import FaultSpec

#: A server puts its writes off while an fsync is under way, for two seconds at most.
LANDED_TIMEOUT_S = 4.0
#: It tries again each second.
HEALED_TIMEOUT_S = 5.0
#: What is filled is a small disk of a run's own, and nobody's whole machine.
DISK_BYTES_MAX = 1 << 30
_FILLER, _PROBE = "huey-harness-filler", "huey-harness-probe"
#: More than the rest of a page that a file may still have for itself.
PROBE_BYTES = 3 * 4096
_CHUNKS = (1 << 20, 4096, 1)


class DiskFullSpec(FaultSpec):
    """The disk of the queue's primary, or of the folder in which a storage lies, is full."""

    kind: Literal["disk-full"]
    targets: ClassVar = ("primary-of-queue", "storage")
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster", "folder"})
    needs: ClassVar = frozenset({"small-disks"})
    color: ClassVar = "#935d3a"

    def why_not(self, topology: str, huey: str) -> str | None:
        """A storage in a folder has no server, and one on a server no folder."""
        if (self.target == "storage") != (topology == "folder"):
            return f"{self.kind} of {self.target} is for others, and this is {topology}"
        return super().why_not(topology, huey)


class Disk:
    """A small disk, which can be filled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._filler = folder / _FILLER

    def fill(self) -> int:
        """Fill it to the last byte; how many these were. Raises HarnessError where it is no small disk."""
        size = os.statvfs(self._folder)
        if not self._folder.is_mount() or size.f_blocks * size.f_frsize > DISK_BYTES_MAX:
            raise HarnessError(f"{self._folder} is no small disk of a run's own, so it is not filled")
        filled = 0
        file = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for chunk in _CHUNKS:
                while filled < DISK_BYTES_MAX:
                    written = _write(file, b"x" * chunk)
                    if not written:
                        break
                    filled += written
        finally:
            os.close(file)
        return filled

    def takes(self) -> bool:
        """Whether a file of ours can be written beside it."""
        probe = self._folder / _PROBE
        try:
            file = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                return _write(file, b"x" * PROBE_BYTES) == PROBE_BYTES
            finally:
                os.close(file)
        finally:
            probe.unlink(missing_ok=True)

    def free(self) -> None:
        """Take away what fills it."""
        self._filler.unlink(missing_ok=True)


class ServersDiskInjection(OneProcess):
    """A server's disk."""

    def __init__(self, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, "refusal", *(["failover"] if scene.topology.kind == "sentinel" else []))
        self._disk = Disk(node.spec.workdir)
        self._probe = f"{scene.queue_key}.probe"

    def inject(self) -> str:
        """Fill it; see the server say that it cannot write its file, and refuse a write of ours."""
        self.must_be_up()
        filled = self._disk.fill()
        wait(lambda: bool(self._refused()), LANDED_TIMEOUT_S, f"{self.name} to meet its full disk")
        return f"{self.name}: {filled:,} bytes fill its disk; {self._refused()}"

    def _refused(self) -> str:
        """What it says to a write of ours, which has to be written to the file; empty, if it takes it."""
        try:
            self._ask("SET", self._probe, "x" * PROBE_BYTES, "EX", PROBE_EXPIRES_S)
        except HarnessError as error:
            if "MISCONF" in str(error) and self._status() == "err":
                return "it refuses a write of ours, and says aof_last_write_status:err"
            raise
        return ""

    def undo(self) -> None:
        """Free it; start the server, if it ended over it."""
        self._disk.free()
        super().undo()

    def healed(self) -> str:
        """See it write its file again, all servers agree, and a write pass."""
        proof = super().healed()
        wait(lambda: self._status() == "ok", HEALED_TIMEOUT_S, f"{self.name} to write its append-only file again")
        if not self._disk.takes():
            raise HarnessError(f"the disk of {self.name} is full still")
        taker = take_a_write(self.scene.topology, self.scene.queue_key)
        return f"{proof}; it says aof_last_write_status:ok, and {taker} has taken a write of ours"

    def _status(self) -> str:
        return info(self.scene.topology, self.node, "persistence").get("aof_last_write_status", "")

    def _ask(self, *command: str | int) -> Any:
        return self.scene.topology.ask(self.node, *command)


class FoldersDiskInjection:
    """The disk of the folder that all agents share."""

    classes = ("refusal",)

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        folder = Path(str(scene.topology.connection()["path"]))
        self.struck = (folder.name,)
        self._disk = Disk(folder)

    def inject(self) -> str:
        """Fill it; see a write beside it fail."""
        filled = self._disk.fill()
        if self._disk.takes():
            # Somebody has given back what he had.
            filled += self._disk.fill()
        if self._disk.takes():
            raise HarnessError(f"{self.struck[0]}: {filled:,} bytes were written, and there is room still")
        return f"{self.struck[0]}: {filled:,} bytes fill its disk; a write of ours has no room (ENOSPC)"

    def heal(self) -> None:
        """Free it."""
        self._disk.free()

    def healed(self) -> str:
        """See a write pass."""
        if not self._disk.takes():
            raise HarnessError(f"{self.struck[0]} has no room for a write of ours still")
        self._scene.topology.wait_ready(READY_TIMEOUT_S)
        return f"{self.struck[0]}: there is room for a write of ours again"


def _write(file: int, data: bytes) -> int:
    """How many of these bytes there was room for."""
    try:
        return os.write(file, data)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return 0
        raise HarnessError(f"cannot write to fill a disk: {error.strerror}") from error


def wait(true: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Until it is so. Raises DeadlineExceeded."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise DeadlineExceeded(f"waited {timeout_s:g} s for {what}")
        time.sleep(0.01)


class DiskFull:
    """Registered as `disk-full`."""

    spec = DiskFullSpec

    def aim(self, spec: DiskFullSpec, scene: Scene, draw: int) -> Injection:
        """At the disk of the queue's primary, or of the folder."""
        if spec.target == "storage":
            return FoldersDiskInjection(scene)
        return ServersDiskInjection(scene, one(spec.target, scene, draw))


FAULTS.register("disk-full")(DiskFull())
