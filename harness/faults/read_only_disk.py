"""`read-only-disk`: the disk that a server, or a storage's folder, lies on can be read, and not be written any more.

Of a server the kernel does it, as it does when a disk meets an error (ext4(5), errors=remount-ro: the default of some
distributions). No open file helps: the append-only file cannot be written (EROFS), which is an error like any other to
the server (aof.c, flushAppendOnlyFile): it refuses writes (MISCONF), as with a full disk; or ends, where it is to write
all down before it acknowledges (`appendfsync always`). Unlike with a full disk, nothing but a new mount ends it, and
for that the server must end: what was in the page cache alone is lost then. With `appendfsync everysec` that is what
was acknowledged in the last second before the error.

A folder is remounted, as an operator would do it. Linux allows that while nobody has a file open to write (mount(2),
EBUSY): of FileHuey's clients nobody has for a moment; SQLite's have, for as long as they live.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import ClassVar, Literal

from harness.faults import FAULTS, Injection, Scene
from harness.faults.asking import PROBE_EXPIRES_S, info, take_a_write
from harness.faults.disk_full import PROBE_BYTES, Disk, wait
from harness.faults.process import OneProcess, classes_of
from harness.faults.restart_empty import DATA_FILES
from harness.faults.targets import READY_TIMEOUT_S, one
from harness.protocols import DeadlineExceeded, HarnessError, Node
from harness.runtimes import block_disk
from harness.scenario import FaultSpec

#: A server puts its writes off while an fsync is under way, for two seconds at most.
LANDED_TIMEOUT_S = 4.0
#: Clients have files open for a moment each.
REMOUNT_TIMEOUT_S = 3.0
#: Huey's storages whose clients keep a file open to write.
_KEEP_OPEN = ("SqliteHuey",)


class ReadOnlyDiskSpec(FaultSpec):
    """The disk of the queue's primary, or of the folder in which a storage lies, cannot be written any more.

    A server's disk meets an error, and is mounted anew while the server is down, which loses what was in the page cache
    alone. A folder is remounted read-only, and then as it was.
    """

    kind: Literal["read-only-disk"]
    targets: ClassVar = ("primary-of-queue", "storage")
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster", "folder"})
    needs: ClassVar = frozenset({"block-disks"})
    color: ClassVar = "#6e5a4b"
    takes_time: ClassVar = (
        "A server is started again when its disk was mounted anew; one of a cluster takes no writes for 2 s then "
        "(cluster_legacy.c, CLUSTER_WRITABLE_DELAY)."
    )

    def why_not(self, topology: str, huey: str) -> str | None:
        """A storage in a folder has no server, and one on a server no folder; who keeps a file open is in the way."""
        if (self.target == "storage") != (topology == "folder"):
            return f"{self.kind} of {self.target} is for others, and this is {topology}"
        if self.target == "storage" and huey.endswith(_KEEP_OPEN):
            return "its clients keep the database open, and Linux remounts no disk with a file that is open to write"
        return super().why_not(topology, huey)


class ServersDiskInjection(OneProcess):
    """A server's disk."""

    def __init__(self, scene: Scene, node: Node) -> None:
        behind_sentinel = ["failover"] if scene.topology.kind == "sentinel" else []
        super().__init__(
            scene, node, *dict.fromkeys(["refusal", *behind_sentinel, *classes_of(scene, node, "", "node-crash")])
        )
        self._folder = node.spec.workdir
        self._probe = f"{scene.queue_key}.probe"

    def inject(self) -> str:
        """Let the kernel meet an error; see the server refuse a write of ours, since it cannot write its file."""
        self.must_be_up()
        self._settle()
        block_disk.fail(self._folder)
        wait(lambda: bool(self._refused()), LANDED_TIMEOUT_S, f"{self.name} to meet its read-only disk")
        return f"{self.name}: its disk has met an error and is read-only; {self._refused()}"

    def _settle(self) -> None:
        """Put on the disk what has long been there where a server runs for longer than here: all but its data."""
        data = {path for pattern in DATA_FILES for path in self._folder.glob(pattern)}
        for path in self._folder.iterdir():
            if path.is_file() and path not in data:
                file = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)

    def _refused(self) -> str:
        """What becomes of a write of ours, which has to be written to the file; empty, if it takes it."""
        try:
            self.scene.topology.ask(self.node, "SET", self._probe, "x" * PROBE_BYTES, "EX", PROBE_EXPIRES_S)
        except HarnessError as error:
            if "MISCONF" in str(error) and not _takes(self._folder):
                return (
                    "it refuses a write of ours (MISCONF), and a file of ours beside its own cannot be written (EROFS)"
                )
            try:
                # Who is about to end answers no more.
                return f"it has ended over it, exit status {self.node.wait(1.0)}"
            except DeadlineExceeded:
                raise error from None
        return ""

    def undo(self) -> None:
        """End the server, mount its disk anew, and start it."""
        if block_disk.is_read_only(self._folder):
            self.node.kill()
            block_disk.mount_anew(self._folder)
        super().undo()

    def healed(self) -> str:
        """See it write its file, all servers agree, and a write pass."""
        proof = super().healed()
        if not _takes(self._folder):
            raise HarnessError(f"the disk of {self.name} is read-only still")
        if info(self.scene.topology, self.node, "persistence").get("aof_last_write_status") != "ok":
            raise HarnessError(f"{self.name} says that it cannot write its append-only file still")
        taker = take_a_write(self.scene.topology, self.scene.queue_key)
        return f"{proof}; its disk was mounted anew, and {taker} has taken a write of ours"


class FoldersDiskInjection:
    """The disk of the folder that all agents share."""

    classes = ("refusal",)

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._folder = Path(str(scene.topology.connection()["path"]))
        self.struck = (self._folder.name,)

    def inject(self) -> str:
        """Remount it in a moment when nobody has a file open; see a write beside it fail."""
        deadline = time.monotonic() + REMOUNT_TIMEOUT_S
        while not block_disk.set_read_only(self._folder, True):
            if time.monotonic() > deadline:
                raise DeadlineExceeded(
                    f"waited {REMOUNT_TIMEOUT_S:g} s for a moment when nobody writes to a file in {self.struck[0]}"
                )
            time.sleep(0.0002)
        if _takes(self._folder):
            raise HarnessError(f"{self.struck[0]} was remounted read-only, and a file of ours was written still")
        return f"{self.struck[0]}: remounted read-only; a file of ours cannot be written (EROFS)"

    def heal(self) -> None:
        """Remount it as it was."""
        if block_disk.is_read_only(self._folder):
            block_disk.set_read_only(self._folder, False)

    def healed(self) -> str:
        """See a write pass."""
        if not _takes(self._folder):
            raise HarnessError(f"{self.struck[0]} is read-only still")
        self._scene.topology.wait_ready(READY_TIMEOUT_S)
        return f"{self.struck[0]}: a file of ours can be written again"


def _takes(folder: Path) -> bool:
    """Whether a file of ours can be written beside the others."""
    try:
        return Disk(folder).takes()
    except OSError as error:
        if error.errno == errno.EROFS:
            return False
        raise HarnessError(f"cannot write to {folder.name}: {os.strerror(error.errno or 0)}") from error


class ReadOnlyDisk:
    """Registered as `read-only-disk`."""

    spec = ReadOnlyDiskSpec

    def aim(self, spec: ReadOnlyDiskSpec, scene: Scene, draw: int) -> Injection:
        """At the disk of the queue's primary, or of the folder."""
        if spec.target == "storage":
            return FoldersDiskInjection(scene)
        return ServersDiskInjection(scene, one(spec.target, scene, draw))


FAULTS.register("read-only-disk")(ReadOnlyDisk())
