"""Renews what this process holds, for as long as it holds it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

logger = logging.getLogger("huey.storage")

#: How often within a lease: twice may fail before it runs out.
TIMES_A_LEASE = 3


class Renewal:
    """The claims (and owners of locks) of one process, and the thread that renews their leases.

    The thread is started with the first claim, and ends when it has found nothing to renew for a lease, by `stop`, or
    with the process. What was found to be lost is noted, and no longer renewed.
    """

    def __init__(self, lease_s: float, renew: Callable[[Sequence[bytes]], Sequence[bytes]]) -> None:
        self._interval_s = lease_s / TIMES_A_LEASE
        self._renew = renew
        self._held: dict[bytes, None] = {}
        #: Of the thread that runs now; None = there is none.
        self._stopped: threading.Event | None = None

    def hold(self, claim: bytes) -> None:
        """Renew it from now on."""
        self._held[claim] = None
        if self._stopped is None:
            self._start()

    def drop(self, claim: bytes) -> None:
        """No longer."""
        self._held.pop(claim, None)

    def stop(self) -> None:
        """End the thread, after the request that it may be in; it starts again with the next claim."""
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            stopped.set()

    def _start(self) -> None:
        # Two threads that come here together start two, which does no harm: the first to find nothing ends both.
        self._stopped = stopped = threading.Event()
        threading.Thread(target=self._run, args=(stopped,), name="huey-leases", daemon=True).start()

    def _run(self, stopped: threading.Event) -> None:
        missed: set[bytes] = set()
        idle = 0
        while not stopped.wait(self._interval_s):
            held = list(self._held)
            if not held:
                idle += 1
                if idle < TIMES_A_LEASE:
                    continue
                self.stop()
                # Whoever took a claim just before that saw a thread that was about to end.
                if self._held and self._stopped is None:
                    self._start()
                return
            idle = 0
            try:
                lost = self._renew(held)
            except Exception as error:
                # The next round tries again; whoever loses his lease is told when he settles.
                logger.warning("Leases of %d tasks could not be renewed: %s", len(held), error)
                continue
            # Once may be chance: a task that has just been settled is not yet dropped here.
            for claim in missed.intersection(lost, self._held):
                self.drop(claim)
                logger.warning("A lease was lost before its task was done: somebody else has the task now.")
            missed = set(lost)
