"""`periodic`: a task that every consumer's scheduler enqueues by the clock. Producers only say what is asked."""

from __future__ import annotations

import datetime
import functools
import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.history import log
from harness.workloads import WORKLOADS, Notes, OneTask

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class Periodic(OneTask):
    """A periodic task, and a producer that says, as long as it lasts, which period it is."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, Literal

        from pydantic import AfterValidator, Field

        from harness.scenario import Duration, WorkloadSpec

        def at_least_a_second(value: float) -> float:
            if value < 1:
                raise ValueError("must be at least 1s: no scheduler of Huey's looks more often")
            return value

        class PeriodicSpec(WorkloadSpec):
            """A task that every consumer's scheduler enqueues by the clock, once a period."""

            kind: Literal["periodic"]
            tasks: Annotated[int, Field(ge=1, le=10_000)] = Field(
                default=4, description="how many periods are asked for"
            )
            producers: Literal[1] = Field(default=1, description="who says which period it is")
            rate: None = Field(default=None, description="it goes by periods")
            tick: Annotated[Duration, AfterValidator(at_least_a_second)] = Field(
                1.0, description="the period; Huey's own is a minute"
            )

            @property
            def period_s(self) -> float:
                """Its tick."""
                return self.tick

        return PeriodicSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One periodic task, `tick`, whose message says of which period it is."""

        def tick(period: int) -> None:
            notes.ask(log.TICK, notes.task, period)

        def validate(task: Any, timestamp: datetime.datetime) -> bool:
            # Told by the moment at which the scheduler looked: the body may run in the next period.
            task.kwargs = {"period": _number(huey, timestamp)}
            return not notes.over

        wrapped = huey.periodic_task(None, name="periodic.tick")(tick)
        wrapped.task_class.validate_datetime = validate
        return {"tick": wrapped}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """The length of a period."""
        return params["tick"]

    def tasks_of(self, item: Any) -> Sequence[Any]:
        """None: consumers enqueue them."""
        return ()

    def submit(self, huey: Any, item: Any, notes: Notes) -> None:
        """Say which period it is, and when it began, and let it pass."""
        wall_s, now_ns = time.time(), time.monotonic_ns()
        number = int(wall_s // item)
        begun_ns = now_ns - int((wall_s - number * item) * 1e9)
        notes.ask(log.ASK_RATE, log.NO_TASK, value=number, eta=begun_ns)
        time.sleep(max(0.0, (number + 1) * item - time.time()))


def _number(huey: Any, timestamp: datetime.datetime) -> int:
    """The number of the period in which a scheduler looks, by Huey's time stamp."""
    from huey.consumer import Scheduler

    utc = getattr(huey, "utc", False)
    wall_s = (timestamp.replace(tzinfo=datetime.UTC) if utc else timestamp).timestamp()
    return int(wall_s // Scheduler.periodic_task_seconds)


WORKLOADS.register("periodic")(Periodic())
