"""What a person sees while a scenario runs: one living line on a terminal, a plain line a phase elsewhere."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

from harness.run import Listener

_REFRESH_S = 0.1


class Live:
    """Writes beside pytest's own progress, without leaving traces in it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._shown = False
        self._at = 0.0

    @property
    def _reporter(self) -> Any:
        return self._config.pluginmanager.get_plugin("terminalreporter")

    def listener(self, title: str) -> Listener:
        """Tells of one run."""
        last = [""]

        def tell(phase: str, acknowledged: int, completed: int, tasks: int, faults: tuple[str, ...]) -> None:
            reporter = self._reporter
            if reporter is None or self._config.get_verbosity() < 0:
                return
            doing = " + ".join(faults)
            state = f"{phase}{f', {doing}' if doing else ''}"
            counts = f": {acknowledged}/{tasks} enqueued, {completed} completed" if acknowledged else ""
            if reporter.isatty:
                if state == last[0] and time.monotonic() < self._at:
                    return
                self._at = time.monotonic() + _REFRESH_S
                line = f"  {title}  {state}{counts}"
                width = reporter._tw.fullwidth - 1
                self._write("\r\x1b[2K" + line[:width])
                self._shown = True
            elif state != last[0]:
                self._write(f"\n  {state}{counts}")
            last[0] = state

        return tell

    def clear(self) -> None:
        """Take the living line away."""
        if self._shown:
            self._write("\r\x1b[2K")
            self._shown = False

    def say(self, lines: list[str]) -> None:
        """Plain lines, whatever pytest captures."""
        self._write("\n".join(lines) + "\n")

    def _write(self, text: str) -> None:
        # Around pytest's capture, which would take it for a test's own output.
        capture: Any = self._config.pluginmanager.get_plugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            self._reporter._tw.write(text, flush=True)
