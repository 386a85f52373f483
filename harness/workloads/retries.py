"""`retries`: tasks that fail a while, and are tried again as often as was asked for, some of them after a delay."""

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


class Failed(Exception):
    """What a task dies of that is to."""


def waits_s(task: Any) -> list[float]:
    """How long each of a task's retries is to wait after the failure before it.

    It is `retry_delay`, times `retry_backoff` from one to the next (huey/api.py, Huey._requeue_task).
    """
    backoff = getattr(task, "retry_backoff", 0) or 1
    return [(task.retry_delay or 0) * backoff**at for at in range(task.retries)]


class Retries(OneTask):
    """Tasks that fail a drawn number of times, some of them more often than they are tried.

    A body knows how often it was tried by what its message says of the retries that are left: that needs no storage.
    """

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, ClassVar, Literal

        from pydantic import Field

        from harness.scenario import Duration, Share, WorkloadSpec

        class RetriesSpec(WorkloadSpec):
            """Tasks that fail a drawn number of times, and are tried again."""

            # An error is stored as a result.
            requires: ClassVar[frozenset[str]] = frozenset({"schedule", "results"})

            kind: Literal["retries"]
            retries: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0, le=20)]] = Field(
                (0, 3), description="fewest and most retries; a task fails up to once more often than that"
            )
            delayed: Share = Field(0.3, description="share of tasks whose retries wait")
            delay: tuple[Duration, Duration] = Field((0.1, 0.4), description="shortest and longest wait for the first")
            backoff: Annotated[float, Field(ge=1, le=10)] = Field(
                1.5, description="how much longer each wait is than the one before, with a Huey that has that"
            )
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

        return RetriesSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `work`."""
        current = threading.local()

        def remember(task: Any) -> None:
            current.task = task

        # Not by `context=True`: Hueys before 3 then put the task among its own arguments, and the next message with it.
        huey.pre_execute("retries.remember")(remember)

        def work(retries: int, failures: int, takes_s: float) -> None:
            time.sleep(takes_s)
            tried = retries - current.task.retries
            if tried < failures:
                raise Failed(f"failure {tried + 1} of {failures}")

        return {"work": huey.task(name="retries.work")(work)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """A task that is to be done in the end, or not."""
        retries = draw.randint(*params["retries"])
        failures = draw.randint(0, retries + 1)
        delay_s = draw.uniform(*params["delay"])
        delayed = draw.random() < params["delayed"]
        task = tasks["work"].s(retries, failures, draw.uniform(*params["takes"]))
        task.retries = retries
        task.retry_delay = delay_s if delayed else 0
        if delayed and hasattr(task, "retry_backoff"):
            task.retry_backoff = params["backoff"]
        return task

    def submit(self, huey: Any, item: Any, notes: Notes) -> None:
        """Enqueue it, having said which retries it has, and when."""
        number = notes.number_of(item)
        for at, wait_s in enumerate(waits_s(item), 1):
            notes.ask(log.ASK_RETRIES, number, value=at, eta=int(wait_s * 1e9))
        if not item.retries:
            notes.ask(log.ASK_RETRIES, number)
        huey.enqueue(item)


WORKLOADS.register("retries")(Retries())
