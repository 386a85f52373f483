"""What passes between a run and an agent whose wall clock may be set: how it is to go, and what the agent reads on it.

Two small files in the agent's workdir, each replaced whole. Standard library only: agents read and write them, too.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

#: Written by the run, read by the agent whenever it asks what time it is.
SETTING = "clock"
#: Written by the agent, over and over, while it runs.
READING = "clock-reading"


class Setting(NamedTuple):
    """How a wall clock goes: `ahead_ns` before the true one, and since `since_ns` (monotonic) `rate` times as fast."""

    ahead_ns: int = 0
    rate: float = 1.0
    since_ns: int = 0

    def off_ns(self, monotonic_ns: int) -> int:
        """How far it is before the true clock at that moment."""
        return self.ahead_ns + int((monotonic_ns - self.since_ns) * (self.rate - 1))


class Reading(NamedTuple):
    """What an agent's own clocks said, between two looks at the monotonic one: `time.time` and `datetime.now`."""

    from_ns: int
    time_ns: int
    datetime_ns: int
    to_ns: int


#: The true time.
RIGHT = Setting()


def put(folder: Path, one: Setting | Reading) -> None:
    """Leave it there for the other side."""
    path = folder / (SETTING if isinstance(one, Setting) else READING)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text(json.dumps(one))
    new.replace(path)


def setting(folder: Path) -> Setting | None:
    """How the clock of the agent in that folder is to go; None where it cannot be set."""
    found = _get(folder / SETTING)
    return None if found is None else Setting(*found)


def reading(folder: Path) -> Reading | None:
    """What that agent last read on its clock; None before its first look."""
    found = _get(folder / READING)
    return None if found is None else Reading(*found)


def _get(path: Path) -> list[int] | None:
    try:
        values: list[int] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return values
