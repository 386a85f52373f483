"""What the process table says: /proc, proc(5)."""

from __future__ import annotations

import os
from typing import NamedTuple

_STOPPED = frozenset("Tt")
_DEAD = frozenset("ZXx")


class Process(NamedTuple):
    """One line of the table. `state` is ps's letter; `start_time` is in clock ticks since boot."""

    pid: int
    parent: int
    state: str
    start_time: int

    @property
    def alive(self) -> bool:
        """Neither ended nor ending."""
        return self.state not in _DEAD


def process(pid: int) -> Process | None:
    """The process of that number, or None when there is none."""
    return _read(f"/proc/{pid}/stat")


def table() -> dict[int, Process]:
    """All processes that are visible here."""
    found = (process(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {one.pid: one for one in found if one is not None}


def descendants(pid: int) -> list[Process]:
    """The living children of `pid`, theirs, and so on; parents before children."""
    children: dict[int, list[Process]] = {}
    for one in table().values():
        children.setdefault(one.parent, []).append(one)
    found: list[Process] = []
    ahead = [pid]
    while ahead:
        below = children.get(ahead.pop(0), [])
        found += [one for one in below if one.alive]
        ahead += [one.pid for one in below]
    return found


def own_number(pid: int) -> int | None:
    """What the process is called in its own pid namespace (the last `NSpid`, proc(5)); None when it is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            line = next(line for line in file if line.startswith("NSpid:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[-1])


def is_stopped(pid: int) -> bool:
    """Whether every thread of the process is stopped. Of a process that is gone: False."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    states = [_read(f"/proc/{pid}/task/{thread}/stat") for thread in threads]
    return bool(states) and all(one is not None and one.state in _STOPPED for one in states)


def _read(path: str) -> Process | None:
    try:
        with open(path, "rb") as file:
            line = file.read()
    except OSError:
        return None
    # The name in parentheses may hold anything, spaces and parentheses included; what follows the last is ours.
    fields = line[line.rindex(b")") + 2 :].split()
    return Process(int(line[: line.index(b" ")]), int(fields[1]), fields[0].decode(), int(fields[19]))
