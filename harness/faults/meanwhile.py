"""What a fault does while it is in force: in a thread of its own, which its healing stops and waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from harness.protocols import DeadlineExceeded


class Meanwhile:
    """One such thread. It runs `act` with the event by which it is told to stop; what `act` raises is kept."""

    def __init__(self, what: str, act: Callable[[threading.Event], None]) -> None:
        self._what, self._act = what, act
        self._stop = threading.Event()
        self._error: Exception | None = None
        # A daemon: one that does not stop is an error of the run, and must not keep the interpreter.
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Tell it to stop, and wait until it has. Never started, or twice: nothing. Raises DeadlineExceeded."""
        self._stop.set()
        self.wait(timeout_s)

    def wait(self, timeout_s: float) -> None:
        """Wait until it ends by itself. Raises DeadlineExceeded."""
        if self._thread.ident is None:
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise DeadlineExceeded(f"waited {timeout_s:g} s for {self._what} to end")

    def check(self) -> None:
        """Raise what it failed with, if it did."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._act(self._stop)
        except Exception as error:  # whatever it is, whoever heals it hears of it
            self._error = error
