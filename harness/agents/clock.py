"""An agent's own wall clock, which a fault may set: what Python code reads it by goes through a file from here on.

`time.time`, `time.time_ns`, and `now`, `utcnow` and `today` of `datetime.datetime`: all that Huey and redis-py tell the
time by (huey/utils.py, Huey._get_timestamp, RedisPriorityQueue.enqueue, FileStorage.enqueue). Monotonic clocks,
time-outs and sleeps stay as they are, and so do C code and other programs. Forked processes have the same clock.

It is done in Python since the library that is made for it, libfaketime, does not leave the rest alone. That of Debian
12 (0.9.10) takes a sleep until a monotonic time for one until a faked time, whatever DONT_FAKE_MONOTONIC says
(libfaketime.c, clock_nanosleep), and that is how Python sleeps since 3.11: time.sleep fails with EINVAL. A rate would
change sleeps too, and the library's state is either without a lock, or behind one that a fork may inherit locked.
"""

from __future__ import annotations

import ctypes
import datetime
import gc
import threading
import time
from pathlib import Path
from time import time_ns as true_time_ns
from typing import Any

from harness import clocks

__all__ = ["install", "true_time_ns"]

#: How often an agent tells what its clock says.
REPORT_S = 0.02


def install(folder: Path) -> None:
    """From now on, this process and those that it forks have the clock that the file in that folder says.

    What was imported by name before (`from time import time`) stays right, and so does `true_time_ns`. Raises
    RuntimeError where this Python does not let `datetime` be set.
    """

    def now_ns() -> int:
        found = clocks.setting(folder) or clocks.RIGHT
        return true_time_ns() + found.off_ns(time.monotonic_ns())

    time.time_ns = now_ns
    time.time = lambda: now_ns() / 1e9
    _set_datetime(now_ns)
    threading.Thread(target=_report, args=(folder,), name="clock", daemon=True).start()


def _set_datetime(now_ns: Any) -> None:
    """The class itself is changed: one in its place would not be what pickles, drivers and `isinstance` know."""

    def now(cls: Any, tz: datetime.tzinfo | None = None) -> Any:
        seconds, rest_ns = divmod(now_ns(), 1_000_000_000)
        return cls.fromtimestamp(seconds, tz).replace(microsecond=rest_ns // 1000)

    def utcnow(cls: Any) -> Any:
        return now(cls, datetime.UTC).replace(tzinfo=None)

    def today(cls: Any) -> Any:
        return now(cls)

    kind = datetime.datetime
    # A class made in C lets nobody set its attributes; they lie in a dictionary all the same.
    (members,) = gc.get_referents(vars(kind))
    members.update(now=classmethod(now), utcnow=classmethod(utcnow), today=classmethod(today))
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))
    if getattr(kind.now, "__func__", None) is not now:
        raise RuntimeError("this Python does not let the clock that datetime.datetime reads be set")


def _report(folder: Path) -> None:
    while True:
        from_ns = time.monotonic_ns()
        time_ns = time.time_ns()
        datetime_ns = int(datetime.datetime.now(datetime.UTC).timestamp() * 1e9)
        clocks.put(folder, clocks.Reading(from_ns, time_ns, datetime_ns, time.monotonic_ns()))
        time.sleep(REPORT_S)
