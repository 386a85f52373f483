"""`locks`: tasks that do something short while they hold one of a few locks."""

from __future__ import annotations

import functools
import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from harness.history import log
from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class Locks(OneTask):
    """Tasks that hold one of a few locks, by turns as a decorator and as a context manager."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, ClassVar, Literal

        from pydantic import Field

        from harness.scenario import Duration, WorkloadSpec

        class LocksSpec(WorkloadSpec):
            """Tasks that hold one of a few locks; one that finds its lock taken fails."""

            requires: ClassVar[frozenset[str]] = frozenset({"locks"})

            kind: Literal["locks"]
            locks: Annotated[int, Field(ge=1, le=1000)] = Field(4, description="how many locks there are")
            held: tuple[Duration, Duration] = Field(
                (0.005, 0.015), description="shortest and longest time for which one is held"
            )
            ttl: Duration | None = Field(
                None, description="a lock's lifetime, for Hueys and storages that have it; null = it has none"
            )

        return LocksSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `hold`."""

        def hold(number: int, held_s: float, ttl_s: float | None, decorated: bool) -> None:
            hold_lock(huey, notes, number, held_s, ttl_s, decorated=decorated)

        return {"hold": huey.task(name="locks.hold")(hold)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """A task that wants one of the locks."""
        number, held_s = draw.randrange(params["locks"]), draw.uniform(*params["held"])
        return tasks["hold"].s(number, held_s, params["ttl"], draw.random() < 0.5)


def hold_lock(
    huey: Any, notes: Notes, number: int, held_s: float, ttl_s: float | None, *, decorated: bool = False
) -> None:
    """Hold the lock of that number for so long, and note when it was got and given back.

    `lock` spans the acquiring, `unlock` the giving back, both with the lock's number as `value`. With a lifetime,
    `eta` of the `lock` is the earliest moment at which it may end. Raises what Huey raises, TaskLockedException where
    somebody has it.
    """
    name = f"chaos-{number}"
    lock = huey.lock_task(name) if ttl_s is None else huey.lock_task(name, ttl=ttl_s)
    with ExitStack() as leaving, ExitStack() as entering:

        def critical() -> None:
            entering.close()
            try:
                work(held_s)
            finally:
                leaving.enter_context(notes.span(log.UNLOCK, notes.task, number))

        eta = 0 if ttl_s is None else time.monotonic_ns() + int(ttl_s * 1e9)
        entering.enter_context(notes.span(log.LOCK, notes.task, number, eta))
        if decorated:
            lock(critical)()
        else:
            with lock:
                critical()


WORKLOADS.register("locks")(Locks())
