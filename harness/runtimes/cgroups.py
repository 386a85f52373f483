"""Control groups: how much CPU and memory some processes may have, and what the kernel counts of them (cgroups(7)).

Both versions: docs.kernel.org, admin-guide/cgroup-v1/memory and scheduler/sched-bwc; admin-guide/cgroup-v2. A group of
ours is made at the top of its hierarchy, as root, and named after the run, so that whoever sweeps finds it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.protocols import HarnessError, Usage
from harness.runtimes import kernel

#: Capabilities of runtimes, by the controller that they take.
CAPABILITIES = {"cpu": "cpu-limits", "memory": "memory-limits"}
_PREFIX = "huey-harness-"
#: The least CPU time that may be given per period, and the longest period (sched-bwc).
QUOTA_US, PERIOD_MAX_US = 1_000, 1_000_000
#: The file by which a controller limits, in either version.
_LIMITS = {("cpu", 1): "cpu.cfs_quota_us", ("cpu", 2): "cpu.max"} | {
    ("memory", 1): "memory.limit_in_bytes",
    ("memory", 2): "memory.max",
}

#: Whom the kernel never ends for want of memory: proc(5), oom_score_adj.
_CROWD = """
import os, sys
open("/proc/self/oom_score_adj", "w").write("-1000")
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
kept = []
while len(kept) < 64:
    kept.append(bytearray(1 << 20))
sys.stdin.read()
"""


class _Hierarchy(NamedTuple):
    top: Path
    version: int


def available() -> frozenset[str]:
    """The capabilities that this process can give to processes of its own. Finds out by making a group of each."""
    return frozenset(name for controller, name in CAPABILITIES.items() if _can_make(controller))


def visible(pid: int) -> frozenset[str]:
    """The capabilities of an engine of whose containers that is a process: what the kernel counts must be seen here,
    and memory is limited here, by root."""
    found = set()
    for controller, name in CAPABILITIES.items():
        with contextlib.suppress(HarnessError, OSError):
            limit = group_of(pid, controller) / _LIMITS[controller, _hierarchy(controller).version]
            if os.access(limit, os.R_OK if controller == "cpu" else os.W_OK):
                found.add(name)
    return frozenset(found)


def make(controller: str, run: str, node: str) -> Path:
    """The run's group for that node, made where there is none yet. Raises HarnessError."""
    hierarchy = _hierarchy(controller)
    group = hierarchy.top / f"{_PREFIX}{run}-{node}"
    try:
        group.mkdir(exist_ok=True)
        if not (group / _LIMITS[controller, hierarchy.version]).exists():
            (hierarchy.top / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError as error:
        raise HarnessError(f"no control group {group} can be made: {error.strerror}") from None
    return group


def enter(group: Path, pids: tuple[int, ...]) -> None:
    """Move these processes there; what they make is there from then on. Who has ended is no error."""
    for pid in pids:
        try:
            (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise HarnessError(f"process {pid} cannot be moved to {group}: {error.strerror}") from None


def quota(share: float) -> tuple[int, int]:
    """CPU time and period, in microseconds, for that share of one CPU."""
    return QUOTA_US, min(PERIOD_MAX_US, round(QUOTA_US / share))


def limit_cpu(group: Path, share: float | None) -> None:
    """Give all in that group this share of one CPU at most; None = as much as they like. Raises HarnessError."""
    quota_us, period_us = (0, 100_000) if share is None else quota(share)
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{quota_us or 'max'} {period_us}")
            return
        # A period that the quota does not fit into is refused.
        (group / "cpu.cfs_quota_us").write_text("-1")
        (group / "cpu.cfs_period_us").write_text(str(period_us))
        (group / "cpu.cfs_quota_us").write_text(str(quota_us or -1))
    except OSError as error:
        raise HarnessError(f"the CPU time of {group} cannot be limited: {error.strerror}") from None


def limit_memory(group: Path, size: int | None) -> bool:
    """Let all in that group have this much memory at most; None = as much as they like. False where they have more
    already, and the kernel is of the first version, which then takes nothing away. Raises HarnessError."""
    file = group / "memory.max"
    unlimited = "max"
    if not file.exists():
        file, unlimited = group / "memory.limit_in_bytes", "-1"
    try:
        file.write_text(unlimited if size is None else str(size))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        raise HarnessError(f"the memory of {group} cannot be limited: {error.strerror}") from None
    return True


def usage(pid: int) -> Usage:
    """What the kernel counts for the groups of that process. Raises HarnessError where that cannot be seen."""
    try:
        cpu = _pairs(group_of(pid, "cpu") / "cpu.stat")
        memory = group_of(pid, "memory")
        if (memory / "memory.events").exists():
            used, kills = memory / "memory.current", _pairs(memory / "memory.events")
        else:
            used, kills = memory / "memory.usage_in_bytes", _pairs(memory / "memory.oom_control")
        # The top of the second hierarchy counts nothing by itself.
        memory_bytes = int(used.read_text()) if used.exists() else 0
        return Usage(_cpu_s(pid), cpu.get("nr_throttled", 0), memory_bytes, kills.get("oom_kill", 0))
    except OSError as error:
        raise HarnessError(f"what process {pid} uses cannot be read: {error.strerror}: {error.filename}") from None


@contextlib.contextmanager
def crowded(group: Path) -> Iterator[None]:
    """While it lasts, another process in that group asks for memory, and the kernel ends others before it: a limit is
    met at once, also where those who are there want nothing by themselves just now."""
    # Not by a fork of this process, which may have threads; isolated, since it needs nothing.
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _CROWD, str(group)], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.kill()


def oom_kills(group: Path) -> int:
    """How often the kernel has ended a process of that group since it ran out of memory."""
    events = group / "memory.events"
    return _pairs(events if events.exists() else group / "memory.oom_control").get("oom_kill", 0)


def remove(run: str) -> None:
    """Remove that run's groups, which are empty. Those that are in use still are left."""
    for controller in CAPABILITIES:
        with contextlib.suppress(HarnessError):
            for group in _hierarchy(controller).top.glob(f"{_PREFIX}{run}-*"):
                with contextlib.suppress(OSError):
                    group.rmdir()


def _can_make(controller: str) -> bool:
    if os.geteuid() != 0:
        return False
    trial = f"trial-{os.getpid()}"
    try:
        group = make(controller, trial, "0")
        return (group / _LIMITS[controller, _hierarchy(controller).version]).exists()
    except HarnessError:
        return False
    finally:
        remove(trial)


def _hierarchy(controller: str) -> _Hierarchy:
    """Where that controller's groups are. Raises HarnessError."""
    mounts = kernel.mounts()
    for top, mount in mounts.items():
        if mount.kind == "cgroup" and controller in mount.options:
            return _Hierarchy(top, 1)
    for top, mount in mounts.items():
        if mount.kind == "cgroup2" and controller in (top / "cgroup.controllers").read_text().split():
            return _Hierarchy(top, 2)
    raise HarnessError(f"there is no {controller} controller here")


def group_of(pid: int, controller: str) -> Path:
    """The group of that process, by its line in /proc/pid/cgroup. Raises HarnessError, where it has ended too."""
    hierarchy = _hierarchy(controller)
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError as error:
        raise HarnessError(f"the group of process {pid} cannot be seen: {error.strerror}") from None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") if hierarchy.version == 1 else not controllers:
            return hierarchy.top / path.lstrip("/")
    raise HarnessError(f"process {pid} is in no group of the {controller} controller")


def _pairs(file: Path) -> dict[str, int]:
    lines = (line.split() for line in file.read_text().splitlines())
    return {name: int(value) for name, value in lines}


def _cpu_s(pid: int) -> float:
    """The CPU time that a process has had: proc(5), /proc/pid/stat, utime and stime."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
