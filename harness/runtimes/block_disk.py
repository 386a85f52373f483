"""Block disks: folders that are a file system on a disk, ext4 on a loop device, which can fail as disks do.

A tmpfs cannot: Linux remounts nothing read-only while somebody has a file open to write (mount(2), EBUSY), as a server
has its append-only file; and what is written to memory needs no journal. A file system on a disk may have to, on its
own account, at an error (ext4(5), errors=remount-ro): then all that is written fails (EROFS), open files or not, and it
stays so until it is mounted anew.

Its image lies in memory, in a small disk beside the folder. What is mounted anew is a copy of the image: other nodes
keep mounts of the failed one for as long as they run, and one device has one state for all of them.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

from harness.protocols import HarnessError, Unavailable
from harness.runtimes import kernel, small_disk

#: The capability of runtimes that can make them.
CAPABILITY = "block-disks"
#: How many images its store has room for: the failed ones' space is free when nobody has them mounted any more.
_IMAGES = 10
_IMAGE = "image"
_MB = 1 << 20
#: Data go through the journal too: else a file may be longer than what was written of it, with zeros at its end, and a
#: server takes such an append-only file for corrupt and does not start (seen with Valkey 9.1.2).
_OPTIONS = "loop,errors=remount-ro,data=journal,nosuid,nodev,noexec"
_COMMAND_TIMEOUT_S = 20.0
_REMEDY = "run as root where there are loop devices, with e2fsprogs: in a container with --privileged -v /dev:/dev"


def available() -> bool:
    """Whether this process may make one, as far as can be told without doing so."""
    return (
        Path("/dev/loop-control").exists()
        and "\text4\n" in Path("/proc/filesystems").read_text()
        and shutil.which("mkfs.ext4") is not None
        and small_disk.available()
    )


def make(folder: Path, size_mb: int) -> None:
    """Make an empty folder a disk of that size. Raises Unavailable where that is not allowed, HarnessError."""
    store = _store(folder)
    store.mkdir()
    small_disk.make(store, _IMAGES * size_mb)
    image = store / _IMAGE
    with image.open("wb") as file:
        file.truncate(size_mb * _MB)
    # No blocks for root alone: a full disk is to be full.
    _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
    _mount(image, folder)
    # What mkfs puts there is nothing that a storage expects.
    (folder / "lost+found").rmdir()


def fail(folder: Path) -> None:
    """Let the kernel find an error on that disk: it then writes nothing to it any more. Raises HarnessError."""
    device = kernel.mounts().get(folder.resolve())
    if device is None or not device.source.startswith("/dev/loop"):
        raise HarnessError(f"{folder} is no block disk of a run's own, so it does not fail")
    # https://docs.kernel.org/admin-guide/ext4.html, /sys/fs/ext4/<device>/trigger_fs_error
    Path("/sys/fs/ext4", Path(device.source).name, "trigger_fs_error").write_text("1")


def is_read_only(folder: Path) -> bool:
    """Whether nobody can write to what is mounted there: by a remount, or since the kernel has met an error.

    Kernels that tell the two apart call the latter `emergency_ro`.
    """
    mount = kernel.mounts().get(folder.resolve())
    return mount is not None and bool(mount.options & {"ro", "emergency_ro"})


def set_read_only(folder: Path, wanted: bool) -> bool:
    """Remount that disk so, or writable again; False where somebody has a file open to write. Raises HarnessError."""
    try:
        kernel.remount(folder, read_only=wanted)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        raise HarnessError(f"{folder} cannot be remounted: {error.strerror}") from None
    return True


def mount_anew(folder: Path) -> None:
    """Put in its place what the disk had when it failed, and can be written again: for nodes that are started later,
    and for this process. Raises HarnessError."""
    image = _store(folder) / _IMAGE
    copy = image.with_suffix(".copy")
    # Without its holes, as `cp` does it: most of it was never written.
    _run("cp", "--sparse=always", str(image), str(copy))
    copy.replace(image)
    kernel.unmount(folder)
    _mount(image, folder)


def _store(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.disk"


def _mount(image: Path, folder: Path) -> None:
    _run("mount", "-t", "ext4", "-o", _OPTIONS, str(image), str(folder))
    os.chmod(folder, 0o700)


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"no block disk can be made: {error}", remedy=_REMEDY) from None
    if done.returncode != 0:
        raise Unavailable(f"no block disk can be made: {command[0]}: {done.stderr.strip()}", remedy=_REMEDY)
