"""Workloads: the tasks they define and what producers submit, one file each.

A workload's module is imported by agents, under whatever interpreter runs Huey: it may import the standard library
and huey at its top, and makes its pydantic model only when it is asked for.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from harness.registry import Registry

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class Workload(Protocol):
    """A kind of work. `params` is the spec's fields as plain JSON values."""

    @property
    def spec(self) -> type[WorkloadSpec]:
        """The model of its fields in a scenario file."""

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """Register its tasks on a Huey instance, in producers and consumers alike; task wrappers by name.

        Tasks of several workloads live on one instance: each calls its own `<kind>.<name>`.
        """

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """The next item to be submitted. Draws on `draw` alone, the same number of times for every item."""

    def tasks_of(self, item: Any) -> Sequence[Any]:
        """Its tasks, `spec.numbers` of them, in the order in which they get their numbers."""

    def submit(self, huey: Any, item: Any, notes: Notes) -> None:
        """Submit it, its tasks having their numbers, and say what is asked of them (`notes.ask`)."""

    def finish(self) -> None:
        """End what it does beside submitting, in bounded time: this producer has submitted all that it will."""


class Notes(Protocol):
    """What a workload writes into the history on its own account, in producers and in the bodies of its tasks.

    In a task's body, `task` is the number of that task.
    """

    @property
    def task(self) -> int:
        """The number of the task whose body the calling thread runs; NO_TASK outside of one."""

    @property
    def over(self) -> bool:
        """Whether the run asks for nothing more: what is periodic ends."""

    def ask(self, f: int, task: int, value: int = 0, eta: int = 0) -> None:
        """Say what is asked of a task: one of `log.ASK_…`."""

    def span(self, f: int, task: int, value: int = 0, eta: int = 0) -> AbstractContextManager[Span]:
        """An operation that begins and ends with the block. It ends `ok`, or as the error says (agents/errors.py).

        `eta`: of what it does, when that is to end or to take effect; monotonic nanoseconds.
        """

    def number_of(self, task: Any) -> int:
        """The number of a Huey task."""


class Span(Protocol):
    """An operation under way. What is set before its end is written with its end."""

    value: int
    #: Where it did certainly not take effect, though nothing was raised.
    failed: bool


class OneTask:
    """What most workloads have in common: an item is one task, and is enqueued."""

    def tasks_of(self, item: Any) -> Sequence[Any]:
        """The task itself."""
        return (item,)

    def submit(self, huey: Any, item: Any, notes: Notes) -> None:
        """Enqueue it."""
        huey.enqueue(item)

    def finish(self) -> None:
        """It does nothing else."""


WORKLOADS: Registry[Workload] = Registry("workloads", "workload")
