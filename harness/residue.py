"""What a run has left on this machine, seen from outside it: processes or containers, and rules in network namespaces.

Asked of the kernel's process table, of `ip rule` (iproute2) inside each namespace, and of the engine by label: none of
it goes through what injects and heals faults.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from harness.protocols import Runtime
from harness.runtimes import processes

_COMMAND_TIMEOUT_S = 10.0


def picture(runtime: Runtime) -> Counter[str]:
    """A line for each process or container of that runtime, and for each rule and cut, with how many there are.

    Rules can be seen only where this process may enter the namespaces, as root.
    """
    found, pids = _containers(runtime) if runtime.name == "docker" else _processes()
    for pid in pids:
        for rule in _rules(pid):
            found[f"rule: {rule}"] += 1
    for source, target in runtime.cuts():
        found[f"cut: {source} → {target}"] += 1
    return found


def left_over(runtime: Runtime, before: Mapping[str, int], timeout_s: float = 10.0) -> list[str]:
    """What there is more, or less, than before, once it has stopped changing: a server may be forking to save, and
    what has ended takes a moment to go."""
    deadline = time.monotonic() + timeout_s
    while (now := picture(runtime)) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    return sorted(
        f"{now[line] - before.get(line, 0):+d} {line}" for line in {*now, *before} if now[line] != before.get(line, 0)
    )


def _processes() -> tuple[Counter[str], list[int]]:
    """What descends from this process, each with its command line; one number for each network namespace."""
    found: Counter[str] = Counter()
    namespaces: dict[str, int] = {}
    for one in processes.descendants(os.getpid()):
        try:
            command = Path(f"/proc/{one.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            namespaces.setdefault(os.readlink(f"/proc/{one.pid}/ns/net"), one.pid)
        except OSError:
            continue  # it has ended meanwhile, or is another user's
        found[f"process: {command.strip()}"] += 1
    return found, list(namespaces.values())


def _containers(runtime: Runtime) -> tuple[Counter[str], list[int]]:
    """The runtime's containers; the numbers of those that run."""
    import docker

    from harness.runtimes.engine import RUN_LABEL

    found: Counter[str] = Counter()
    pids = []
    client = docker.from_env(timeout=int(_COMMAND_TIMEOUT_S))
    try:
        label = f"{RUN_LABEL}={getattr(runtime, 'label')}"  # noqa: B009 - of the Docker runtime alone
        for one in client.containers.list(all=True, filters={"label": label}):
            found[f"container: {one.name} {one.status}"] += 1
            if pid := one.attrs["State"]["Pid"]:
                pids.append(pid)
    finally:
        client.close()
    return found, pids


def _rules(pid: int) -> list[str]:
    """The routing rules of that process' network namespace."""
    if os.geteuid() != 0:
        return []
    # Not ours alone: the machine's own are the same before and after.
    command = ["nsenter", "-t", str(pid), "-n", "ip", "rule", "list"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False)
    return done.stdout.splitlines()
