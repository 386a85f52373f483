"""What workloads write into the history themselves (`workloads.Notes`), under the name of whoever's thread it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from harness.agents.errors import attempts, classify
from harness.agents.logs import Recorder
from harness.agents.numbers import number_of_id
from harness.history.log import FAIL, INVOKE, OK

#: The file, in the folder of logs, by which a run says that what is periodic is over.
OVER = "over"


@dataclass
class Span:
    """An operation under way."""

    value: int
    failed: bool = False


class Notes:
    """Implements `workloads.Notes` on an agent's recorder; without one, nothing is written."""

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder

    @property
    def task(self) -> int:
        """The number of the task whose body the calling thread runs."""
        assert self._recorder is not None
        return self._recorder.log.task

    @property
    def over(self) -> bool:
        """Whether the run asks for nothing more."""
        return self._recorder is not None and (self._recorder.folder / OVER).exists()

    def ask(self, f: int, task: int, value: int = 0, eta: int = 0) -> None:
        """Say what is asked of a task."""
        if self._recorder is not None:
            write = self._recorder.part("notes").write
            write(INVOKE, f, task, value=value, eta=eta)
            write(OK, f, task, value=value, eta=eta)

    @contextmanager
    def span(self, f: int, task: int, value: int = 0, eta: int = 0) -> Iterator[Span]:
        """An operation that begins and ends with the block, under a name of its own: what it encloses is told too."""
        span = Span(value)
        if self._recorder is None:
            yield span
            return
        write = self._recorder.part("notes").write
        attempts.unanswered = 0
        write(INVOKE, f, task, value=value, eta=eta)
        try:
            yield span
        except BaseException as error:
            type_, code = classify(error)
            write(type_, f, task, value=span.value, error=code)
            raise
        write(FAIL if span.failed else OK, f, task, value=span.value)

    def number_of(self, task: Any) -> int:
        """The number of a Huey task."""
        return number_of_id(task.id)
