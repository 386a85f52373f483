"""What a person sees while a scenario runs: one living line on a terminal; elsewhere, with -v, a plain line a phase."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any

import pytest

from harness.report.text import clipped, one_line
from harness.run import Listener

_REFRESH_S = 0.1


class Live:
    """Writes beside pytest's own progress, and leaves it as it was."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        #: Of this run there is something on the screen: the living line, or plain ones.
        self._living = self._told = False
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
            state = one_line(f"{phase}{f', {doing}' if doing else ''}")
            counts = f": {acknowledged}/{tasks} enqueued, {completed} completed" if acknowledged else ""
            if reporter.isatty and os.environ.get("TERM") != "dumb":
                if state == last[0] and time.monotonic() < self._at:
                    return
                self._at = time.monotonic() + _REFRESH_S
                self._draw(reporter, f"  {one_line(title)}  {state}{counts}")
            elif state != last[0] and self._config.get_verbosity() > 0:
                self._write(f"\n  {state}{counts}")
                self._told = True
            last[0] = state

        return tell

    def clear(self) -> None:
        """Take the living line away; what pytest writes next begins where it would have begun without it."""
        if self._living:
            self._living = False
            writer = self._reporter._tw
            column = writer.width_of_current_line % writer.fullwidth
            self._raw("\r\x1b[2K\x1b[A\r" + (f"\x1b[{column}C" if column else ""))
        elif self._told:
            self._told = False
            self._write("\n  ")

    def say(self, lines: list[str]) -> None:
        """Plain lines, whatever pytest captures."""
        self._write("\n".join(lines) + "\n")

    def _draw(self, reporter: Any, line: str) -> None:
        # On a line of its own, below pytest's: that one is not finished yet.
        begin = "\r\x1b[2K" if self._living else "\n\r\x1b[2K"
        self._living = True
        self._raw(begin + reporter._tw.markup(clipped(line, reporter._tw.fullwidth - 1), cyan=True))

    def _raw(self, text: str) -> None:
        # pytest's writer counts columns, and is not to count these.
        with self._uncaptured():
            file = self._reporter._tw._file
            encoding = file.encoding or "utf-8"
            file.write(text.encode(encoding, "replace").decode(encoding))
            file.flush()

    def _write(self, text: str) -> None:
        with self._uncaptured():
            if self._reporter is None:  # -p no:terminal
                print(text, end="", file=sys.stderr, flush=True)
            else:
                self._reporter._tw.write(text, flush=True)

    def _uncaptured(self) -> contextlib.AbstractContextManager[object]:
        # pytest's capture would take it for a test's own output.
        capture: Any = self._config.pluginmanager.get_plugin("capturemanager")
        return capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
