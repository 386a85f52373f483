"""`timeouts`: tasks with a limit to how long they may run; some of them would take far longer."""

from __future__ import annotations

import functools
import random
import threading
import time
from typing import TYPE_CHECKING, Any

from harness.history import log
from harness.workloads import WORKLOADS, Notes, OneTask

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec

#: How often a body asks whether its time is up.
SLICE_S = 0.02


class Timeouts(OneTask):
    """Tasks that are to be ended when their time is up.

    Workers that are processes or greenlets are interrupted; a thread cannot be, so its task has to ask now and then
    (huey/consumer.py, Environment.timeout; huey/api.py, Task.check_timeout).
    """

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import ClassVar, Literal

        from pydantic import Field

        from harness.scenario import Duration, Share, WorkloadSpec

        class TimeoutsSpec(WorkloadSpec):
            """Tasks that are to be ended when their time is up."""

            # What a task died of is stored as a result.
            requires: ClassVar[frozenset[str]] = frozenset({"results"})
            since: ClassVar[tuple[str, str]] = ("3.0.0", "tasks with a time-out")

            kind: Literal["timeouts"]
            timeout: tuple[Duration, Duration] = Field((0.1, 0.3), description="shortest and longest limit")
            endless: Share = Field(0.1, description="share of tasks that would take much longer than that")
            endless_for: Duration = Field(5.0, description="how long these would take")
            asks: bool = Field(
                True, description="whether bodies ask if their time is up; threads cannot be ended otherwise"
            )
            takes: tuple[Duration, Duration] = Field(
                (0.0, 0.004), description="shortest and longest of the other tasks"
            )

        return TimeoutsSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `work`."""
        current = threading.local()

        def remember(task: Any) -> None:
            current.task = task

        huey.pre_execute("timeouts.remember")(remember)

        def work(takes_s: float, asks: bool) -> None:
            until = time.monotonic() + takes_s
            while (left_s := until - time.monotonic()) > 0:
                time.sleep(min(left_s, SLICE_S))
                if asks:
                    current.task.check_timeout()

        return {"work": huey.task(name="timeouts.work")(work)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """A task that ends in time, or would not."""
        takes_s = draw.uniform(*params["takes"])
        endless = draw.random() < params["endless"]
        task = tasks["work"].s(params["endless_for"] if endless else takes_s, params["asks"])
        task.timeout = draw.uniform(*params["timeout"])
        return task

    def submit(self, huey: Any, item: Any, notes: Notes) -> None:
        """Enqueue it, having said how long it may run."""
        notes.ask(log.ASK_TIMEOUT, notes.number_of(item), value=int(item.timeout * 1e9))
        huey.enqueue(item)


WORKLOADS.register("timeouts")(Timeouts())
