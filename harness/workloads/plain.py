"""`plain`: tasks of equal rank that take a moment each."""

from __future__ import annotations

import functools
import random
import time
from typing import TYPE_CHECKING, Any

from harness.workloads import WORKLOADS, Notes, OneTask

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


def work(takes_s: float) -> None:
    """What a task does: it takes its time."""
    if takes_s:
        time.sleep(takes_s)


class Plain(OneTask):
    """Tasks without a priority, first in, first out."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Literal

        from pydantic import Field

        from harness.scenario import Duration, WorkloadSpec

        class PlainSpec(WorkloadSpec):
            """Tasks without a priority, first in, first out."""

            kind: Literal["plain"]
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

        return PlainSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `work`."""
        return {"work": huey.task(name="plain.work")(work)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """A task that takes a time between the two bounds."""
        shortest_s, longest_s = params["takes"]
        return tasks["work"].s(draw.uniform(shortest_s, longest_s))


WORKLOADS.register("plain")(Plain())
