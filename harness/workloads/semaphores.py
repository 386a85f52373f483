"""`semaphores`: tasks that do something short while they hold one of a few semaphores, which so many may hold."""

from __future__ import annotations

import functools
import random
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from harness.history import log
from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class Semaphores(OneTask):
    """Tasks that hold one of a few semaphores (huey/contrib/helpers.py, lock_task_semaphore)."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, ClassVar, Literal

        from pydantic import Field

        from harness.scenario import Duration, WorkloadSpec

        class SemaphoresSpec(WorkloadSpec):
            """Tasks that hold one of a few semaphores; one that finds too many holders fails."""

            requires: ClassVar[frozenset[str]] = frozenset({"semaphores"})
            # Before that it was taken in several steps, by clients' clocks.
            since: ClassVar[tuple[str, str]] = ("3.5.0", "a semaphore that is taken in one step")

            kind: Literal["semaphores"]
            semaphores: Annotated[int, Field(ge=1, le=1000)] = Field(2, description="how many semaphores there are")
            holders: Annotated[int, Field(ge=1, le=1000)] = Field(2, description="how many may hold each at once")
            held: tuple[Duration, Duration] = Field(
                (0.005, 0.015), description="shortest and longest time for which one is held"
            )

        return SemaphoresSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `hold`."""

        def hold(number: int, holders: int, held_s: float) -> None:
            hold_semaphore(huey, notes, number, holders, held_s)

        return {"hold": huey.task(name="semaphores.hold")(hold)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """A task that wants one of the semaphores."""
        number, held_s = draw.randrange(params["semaphores"]), draw.uniform(*params["held"])
        return tasks["hold"].s(number, params["holders"], held_s)

    def submit(self, huey: Any, item: Any, notes: Notes) -> None:
        """Enqueue it, having said how many may hold its semaphore."""
        notes.ask(log.ASK_HOLDERS, notes.number_of(item), item.args[1])
        huey.enqueue(item)


def hold_semaphore(huey: Any, notes: Notes, number: int, holders: int, held_s: float) -> None:
    """Hold the semaphore of that number for so long, and note when it was got and given back.

    `acquire` spans the acquiring, `release` the giving back, both with the semaphore's number as `value`. Raises what
    Huey raises, TaskLockedException where `holders` have it.
    """
    from huey.contrib.helpers import lock_task_semaphore

    with ExitStack() as leaving, ExitStack() as entering:

        def critical() -> None:
            entering.close()
            try:
                work(held_s)
            finally:
                leaving.enter_context(notes.span(log.RELEASE, notes.task, number))

        guarded = lock_task_semaphore(huey, f"semaphore-{number}-{holders}", holders)(critical)
        entering.enter_context(notes.span(log.ACQUIRE, notes.task, number))
        guarded()


WORKLOADS.register("semaphores")(Semaphores())
