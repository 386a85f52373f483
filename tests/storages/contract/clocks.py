"""Clocks and time zones in the hands of a test."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any
from unittest import mock

import huey.storage


class _Clock:
    """The module `time`, but for `time.time`, which goes through the given values and stays at the last."""

    def __init__(self, readings: Iterable[float]) -> None:
        self._readings = iter(readings)
        self._last = 0.0

    def time(self) -> float:
        self._last = next(self._readings, self._last)
        return self._last

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@contextlib.contextmanager
def readings(*values: float) -> Iterator[None]:
    """What Huey's storages read from the wall clock, one value after the other; the last one for ever."""
    with mock.patch.object(huey.storage, "time", _Clock(values)):
        yield


@contextlib.contextmanager
def ticking(step_s: float = 0.001) -> Iterator[None]:
    """A wall clock that has moved on by a step each time that Huey's storages read it."""
    start = time.time()
    with mock.patch.object(huey.storage, "time", _Clock(start + step_s * n for n in range(1 << 40))):
        yield


@contextlib.contextmanager
def zone(name: str) -> Iterator[None]:
    """This process in another time zone."""
    with mock.patch.dict(os.environ, TZ=name):
        time.tzset()
        try:
            yield
        finally:
            pass
    time.tzset()
