"""`priorities`: tasks of several ranks, of which the highest is to run first."""

from __future__ import annotations

import functools
import random
from typing import TYPE_CHECKING, Any

from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class Priorities(OneTask):
    """Tasks of several priorities; equal ones first in, first out."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, ClassVar, Literal

        from pydantic import Field

        from harness.scenario import Duration, WorkloadSpec

        class PrioritiesSpec(WorkloadSpec):
            """Tasks of several priorities; equal ones first in, first out."""

            kind: Literal["priorities"]
            priorities: Annotated[list[int], Field(min_length=1, max_length=1000)] = Field(
                [0, 1, 5, 10], description="priorities to draw from, each as likely; a larger one runs first"
            )
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

            requires: ClassVar[frozenset[str]] = frozenset({"priority"})

        return PrioritiesSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `work`."""
        return {"work": huey.task(name="priorities.work")(work)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """A task with a priority drawn from the list."""
        shortest_s, longest_s = params["takes"]
        task = tasks["work"].s(draw.uniform(shortest_s, longest_s))
        task.priority = draw.choice(params["priorities"])
        return task


WORKLOADS.register("priorities")(Priorities())
