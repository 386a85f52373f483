"""`storms`: many tasks at once, then nothing for a while, again and again."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class Storms(OneTask):
    """Bursts of tasks."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, Literal

        from pydantic import Field

        from harness.scenario import Duration, WorkloadSpec

        class StormsSpec(WorkloadSpec):
            """Bursts of tasks, each as fast as its producer can, and silence between them."""

            kind: Literal["storms"]
            burst: Annotated[int, Field(ge=1, le=100_000)] = Field(200, description="tasks of one burst")
            rate: Annotated[float, Field(gt=0, le=100_000)] | None = Field(
                default=200,
                description="tasks a second in the mean, over all producers: each has a burst every burst * producers "
                "/ rate seconds; null = no silence",
            )
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

            @property
            def numbers(self) -> int:
                """A burst is one item."""
                return self.burst

        return StormsSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `work`."""
        return {"work": huey.task(name="storms.work")(work)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """A burst."""
        return [tasks["work"].s(draw.uniform(*params["takes"])) for _ in range(params["burst"])]

    def tasks_of(self, item: Any) -> Sequence[Any]:
        """All of it."""
        tasks: Sequence[Any] = item
        return tasks

    def submit(self, huey: Any, item: Any, notes: Notes) -> None:
        """Enqueue all of it."""
        for task in item:
            huey.enqueue(task)


WORKLOADS.register("storms")(Storms())
