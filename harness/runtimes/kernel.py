"""The Linux system calls that the standard library lacks, each as one function. All raise OSError."""

from __future__ import annotations

import ctypes
import os
import re
import signal
from pathlib import Path
from typing import NamedTuple

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAP_NET_ADMIN = 12
_CAPABILITY_VERSION_3 = 0x20080522
_MS_RDONLY, _MS_REMOUNT = 1, 32
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 16384, 1 << 18
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """unshare(2)."""
    _check(_libc.unshare(flags), f"unshare({flags:#x})")


def setns(fd: int, kind: int) -> None:
    """setns(2) into the namespace of that kind. For CLONE_NEWPID it concerns the children to come."""
    _check(_libc.setns(fd, kind), f"setns({kind:#x})")


def die_with_parent(number: signal.Signals) -> None:
    """Have the kernel send that signal to this process when the thread that made it ends: prctl(2)."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number), 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def become_subreaper() -> None:
    """Become the parent of every descendant whose own parent ends: prctl(2)."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")


def hand_on_net_admin() -> None:
    """Let what this process executes keep its CAP_NET_ADMIN, which an ordinary user's exec loses: capabilities(7)."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    #: effective, permitted, inheritable; the first 32 capabilities, then the others.
    sets = (ctypes.c_uint32 * 6)()
    _check(_libc.capget(header, sets), "capget")
    sets[2] |= 1 << _CAP_NET_ADMIN
    _check(_libc.capset(header, sets), "capset")
    raised = (ctypes.c_ulong(_PR_CAP_AMBIENT_RAISE), ctypes.c_ulong(_CAP_NET_ADMIN), 0, 0)
    _check(_libc.prctl(_PR_CAP_AMBIENT, *raised), "prctl(PR_CAP_AMBIENT)")


def private_mounts() -> None:
    """Give this process mounts of its own that no other namespace sees: mount_namespaces(7)."""
    unshare(CLONE_NEWNS)
    _check(_libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None), "mount(MS_PRIVATE)")


def mount_memory(folder: Path, size: int) -> None:
    """Mount an empty file system in memory, of that many bytes, over a folder: tmpfs(5)."""
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    options = f"size={size},mode=700".encode()
    _check(_libc.mount(b"huey-harness", os.fsencode(folder), b"tmpfs", flags, options), f"mount({folder})")


class Mount(NamedTuple):
    """One line of the table of mounts. `options` are those of the file system itself."""

    kind: str
    source: str
    options: frozenset[str]


def mounts() -> dict[Path, Mount]:
    """What is mounted where, as this process sees it; of several in one place the last (proc(5), mountinfo)."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        name = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4])
        kind, source, options = after.split(" ", 2)
        found[Path(name)] = Mount(kind, source, frozenset(options.split(",")))
    return found


def remount(folder: Path, *, read_only: bool) -> None:
    """Let nobody write to the file system that is mounted there, or let everybody: mount(2), MS_REMOUNT."""
    flags = ctypes.c_ulong(_MS_REMOUNT | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | (_MS_RDONLY if read_only else 0))
    _check(_libc.mount(None, os.fsencode(folder), None, flags, None), f"mount({folder}, MS_REMOUNT)")


def unmount(folder: Path) -> None:
    """Take away what is mounted there, as soon as nobody uses it: umount2(2)."""
    _check(_libc.umount2(os.fsencode(folder), _MNT_DETACH), f"umount({folder})")


def mount_proc() -> None:
    """Mount the process table of this process' own pid namespace over /proc."""
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _check(_libc.mount(b"proc", b"/proc", b"proc", flags, None), "mount(proc)")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
