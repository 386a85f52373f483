"""When a fault's moment has come: by time, by how far the workload is, or by what somebody has in hand just now."""

from __future__ import annotations

import time
from collections.abc import Mapping

from harness.progress import Progress
from harness.scenario import Trigger


class Moments:
    """Knows of each fault since when its trigger has held."""

    def __init__(self, tasks: int, progress: Progress) -> None:
        self._tasks, self._progress = tasks, progress
        self._began = time.monotonic()
        #: When each fault's trigger was first seen to hold.
        self._first: dict[int, float] = {}

    def begin(self) -> None:
        """The workload begins now."""
        self._began = time.monotonic()

    def due(self, index: int, at: Trigger, struck: frozenset[str]) -> bool:
        """Whether that fault is to strike now. What those have in hand who are struck already does not count."""
        if not self._holds(at, struck):
            return False
        now = time.monotonic()
        return now >= self._first.setdefault(index, now) + at.later

    def meant(self, at: Trigger, struck: frozenset[str]) -> frozenset[str]:
        """The consumers that the trigger speaks of; none where it speaks of nobody in particular."""
        found: Mapping[str, int] = {}
        least = 1
        if at.held is not None:
            found, least = self._progress.in_hand(), at.held
        elif at.batch is not None:
            found, least = self._progress.batches(), at.batch
        return frozenset(agent for agent, count in found.items() if count >= least) - struck

    def _holds(self, at: Trigger, struck: frozenset[str]) -> bool:
        if at.elapsed is not None:
            return time.monotonic() - self._began >= at.elapsed
        if at.held is not None or at.batch is not None:
            return bool(self.meant(at, struck))
        progress = self._progress
        return any(
            least is not None and count >= least
            for least, count in (
                (self._share(at.acknowledged), progress.acknowledged),
                (self._share(at.completed), progress.completed),
                (self._share(at.popped), progress.popped),
                (at.queued, progress.queued),
                (at.lease_expired, progress.leases_expired),
            )
        )

    def _share(self, share: float | None) -> float | None:
        return None if share is None else share * self._tasks
