"""`long`: long tasks among short ones."""

from __future__ import annotations

import functools
import random
from typing import TYPE_CHECKING, Any

from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class Long(OneTask):
    """Short tasks, and a few that keep a worker for long."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Literal

        from pydantic import Field

        from harness.scenario import Duration, Share, WorkloadSpec

        class LongSpec(WorkloadSpec):
            """Short tasks, and a few that keep a worker for long."""

            kind: Literal["long"]
            share: Share = Field(0.01, description="how many are long")
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest of the short ones")
            long: tuple[Duration, Duration] = Field((0.5, 2.5), description="shortest and longest of the long ones")

        return LongSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `work`."""
        return {"work": huey.task(name="long.work")(work)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """A task, perhaps a long one."""
        is_long = draw.random() < params["share"]
        short_s, long_s = draw.uniform(*params["takes"]), draw.uniform(*params["long"])
        return tasks["work"].s(long_s if is_long else short_s)


WORKLOADS.register("long")(Long())
