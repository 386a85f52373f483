"""The folders that runs keep their sockets, logs and servers' data in, and the removal of those left behind.

A run's processes end with pytest, so after a crash its folder is all that is left. It says whose it is in
`run.json`, which is there from the folder's first moment on: it is written before the folder gets its name.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

from harness.protocols import HarnessError
from harness.runtimes import cgroups, processes, small_disk

MARKER = "run.json"
_UNBORN = ".new-"
#: A folder without a marker is one whose owner was killed while he made it; this old, he is not at it any more.
_UNBORN_AGE_S = 3600.0
#: The path of a Unix socket has at most 107 bytes; the root leaves this many for node and file name.
_SOCKET_PATH_BYTES_MAX = 107
_BELOW_ROOT_BYTES = 48


def default_parent() -> Path:
    """Where this user's runs lie: `huey-harness-<uid>` in the folder for temporary files."""
    return Path(tempfile.gettempdir()) / f"huey-harness-{os.getuid()}"


def make_root(parent: Path | None = None, *, label: str | None = None) -> Path:
    """A new folder for this process' run, readable by this user alone, below `parent` (default `default_parent()`).

    Its name is `label` (default: drawn). Raises HarnessError when `parent` is not this user's own, cannot be
    written, or is too long for the Unix sockets below it.
    """
    parent = parent or default_parent()
    label = label or secrets.token_hex(4)
    root = parent / label
    room = _SOCKET_PATH_BYTES_MAX - _BELOW_ROOT_BYTES
    if len(os.fsencode(root)) > room:
        raise HarnessError(
            f"{root} is too long for Unix sockets below it: {len(os.fsencode(root))} bytes, {room} at most",
            remedy="set TMPDIR to a shorter path, e.g. TMPDIR=/tmp",
        )
    _own(parent)
    unborn = parent / f"{_UNBORN}{label}"
    try:
        unborn.mkdir(mode=0o700)
        (unborn / MARKER).write_text(json.dumps(_marker(label)))
        os.rename(unborn, root)
    except OSError as error:
        raise HarnessError(f"no folder for the run at {root}: {error.strerror}") from None
    return root


def sweep_local(parent: Path | None = None) -> list[str]:
    """Remove the folders of runs whose process has ended; their labels, sorted.

    Leaves alone what is not a run's folder, and runs of other pid namespaces, whose processes cannot be seen from here.
    Raises HarnessError when `parent` is not this user's own.
    """
    parent = parent or default_parent()
    if not parent.exists():
        return []
    _own(parent)
    swept = []
    for folder in sorted(parent.iterdir()):
        if folder.is_symlink() or not folder.is_dir() or not _is_left_behind(folder):
            continue
        # Another pytest may sweep at the same time: what counts is that it is gone.
        small_disk.unmount_below(folder)
        cgroups.remove(folder.name)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists() and not folder.name.startswith(_UNBORN):
            swept.append(folder.name)
    return swept


def _marker(label: str) -> dict[str, Any]:
    own = processes.process(os.getpid())
    return {
        "label": label,
        "pid": os.getpid(),
        "start_time": own.start_time if own else 0,
        "pid_namespace": os.readlink("/proc/self/ns/pid"),
    }


def _is_left_behind(folder: Path) -> bool:
    try:
        marker = json.loads((folder / MARKER).read_text())
        pid, start_time, namespace = int(marker["pid"]), int(marker["start_time"]), marker["pid_namespace"]
    except (OSError, ValueError, KeyError, TypeError):
        return folder.name.startswith(_UNBORN) and _age_s(folder) > _UNBORN_AGE_S
    if namespace != os.readlink("/proc/self/ns/pid"):
        return False
    owner = processes.process(pid)
    return owner is None or not owner.alive or owner.start_time != start_time


def _age_s(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:
        return 0.0


def _own(parent: Path) -> None:
    """Make the folder if need be; refuse one that somebody else could have laid there."""
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = parent.lstat()
    except OSError as error:
        raise HarnessError(f"{parent}: {error.strerror}", remedy="set TMPDIR to a folder that you can write") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise HarnessError(
            f"{parent} is not a folder that only you can write to; runs are not put there",
            remedy=f"remove it, or set TMPDIR to a folder of your own: it belongs to user {found.st_uid}",
        )
