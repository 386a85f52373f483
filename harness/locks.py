"""Locks on files between processes: they end with whoever holds them, however he ends."""

from __future__ import annotations

import fcntl
import time

_TICK_S = 0.01


def lock(file: int, timeout_s: float) -> bool:
    """Take the lock on that open file, for oneself alone (flock(2)). False when it is not had within the time."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
        time.sleep(_TICK_S)
