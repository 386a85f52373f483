"""Rate limits that forget nobody: Huey's, whose window and count are looked at and changed in one step."""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import time
from typing import Any

from huey import api

#: Hueys before 3.0.0 have no rate limits.
RateLimit: Any = getattr(api, "RateLimit", object)


class ReliableRateLimit(RateLimit):  # type: ignore[misc, unused-ignore]
    """Huey's RateLimit, of which no more pass in a window than are to, however many ask at once."""

    def acquire(self) -> None:
        """Be counted. Raises RateLimitExceeded where too many have been in this window."""
        now_s = time.time()
        window, huey = self._current_window(now_s), self._huey
        stored = (huey.serializer.serialize(one) for one in (window, window + 1))
        if huey.storage.count_in_window(self._window_key, self._counter_key, *stored) > self._limit:
            raise api.RateLimitExceeded(self._name, self._time_until_reset(now_s), retry=self._retry)
