"""Small disks: folders that are file systems of their own, which a fault can fill without harm to anybody else.

Each is a tmpfs (tmpfs(5)) that this process mounts where it sees files itself, as root. So a folder is the same to
servers, agents and faults, in containers too, and what lies in it outlives whoever is killed. Those that a killed run
left behind are unmounted before its folder is swept.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from harness.protocols import HarnessError, Unavailable
from harness.runtimes import kernel

#: The capability of runtimes that can make them.
CAPABILITY = "small-disks"
#: Of block disks (block_disk.py) too.
_KINDS = ("tmpfs", "ext4")
_MB = 1_000_000
_WHY = "a small disk is mounted, and that takes root's privileges"


def available() -> bool:
    """Whether this process may mount one. Finds out by doing so."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory(prefix="huey-harness-") as folder:
        try:
            make(Path(folder), 1)
        except HarnessError:
            return False
        unmount_below(Path(folder))
    return True


def make(folder: Path, size_mb: int) -> None:
    """Make an empty folder a disk of that size. Raises Unavailable where that is not allowed, HarnessError."""
    try:
        kernel.mount_memory(folder, size_mb * _MB)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise Unavailable(_WHY, remedy="run as root, in a container with --privileged") from None
        raise HarnessError(f"no small disk can be mounted on {folder}: {error.strerror}") from None


def unmount_below(root: Path) -> None:
    """Unmount all of them, and all block disks, that lie in that folder, or are it. None is no error; nor is one that
    is in use still, which is gone when it is not."""
    root = root.resolve()
    below = (folder for folder, one in kernel.mounts().items() if one.kind in _KINDS and folder.is_relative_to(root))
    # Inner ones first.
    for folder in sorted(below, key=lambda path: len(path.parts), reverse=True):
        try:
            kernel.unmount(folder)
        except OSError as error:
            if error.errno != errno.EINVAL:  # somebody else did it
                raise HarnessError(f"{folder} cannot be unmounted: {error.strerror}") from None
