"""`delays`: tasks that are to run a moment after they were submitted, by way of the schedule."""

from __future__ import annotations

import functools
import random
from typing import TYPE_CHECKING, Any

from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class Delays(OneTask):
    """Tasks with a time before which they must not begin."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import ClassVar, Literal

        from pydantic import Field

        from harness.scenario import Duration, WorkloadSpec

        class DelaysSpec(WorkloadSpec):
            """Tasks with a time before which they must not begin."""

            requires: ClassVar[frozenset[str]] = frozenset({"schedule"})

            kind: Literal["delays"]
            delay: tuple[Duration, Duration] = Field((0.5, 2.0), description="shortest and longest wait for its time")
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

        return DelaysSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `work`."""
        return {"work": huey.task(name="delays.work")(work)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """A task that is due a while from now."""
        from huey.utils import normalize_time

        task = tasks["work"].s(draw.uniform(*params["takes"]))
        task.eta = normalize_time(None, draw.uniform(*params["delay"]), tasks["work"].huey.utc)
        return task


WORKLOADS.register("delays")(Delays())
