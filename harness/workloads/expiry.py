"""`expiry`: tasks that are worth nothing after a time; some of them can run before it, and some cannot."""

from __future__ import annotations

import functools
import random
import time
from typing import TYPE_CHECKING, Any

from harness.history import log
from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class Expiry(OneTask):
    """Tasks that expire, shortly or much later. How many expire depends on how long they wait for a worker."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import ClassVar, Literal

        from pydantic import Field

        from harness.scenario import Duration, Share, WorkloadSpec

        class ExpirySpec(WorkloadSpec):
            """Tasks that expire, shortly or much later."""

            since: ClassVar[tuple[str, str]] = ("2.4.0", "tasks that expire")

            kind: Literal["expiry"]
            soon: Share = Field(0.5, description="share of tasks that expire soon")
            expires: tuple[Duration, Duration] = Field((0.05, 1.0), description="how soon; shortest and longest")
            late: Duration = Field(600.0, description="when the others do: later than any run takes")
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

        return ExpirySpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `work`."""
        return {"work": huey.task(name="expiry.work")(work)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """A task that expires a while after it was enqueued."""
        task = tasks["work"].s(draw.uniform(*params["takes"]))
        soon_s = draw.uniform(*params["expires"])
        task.expires = soon_s if draw.random() < params["soon"] else params["late"]
        return task

    def submit(self, huey: Any, item: Any, notes: Notes) -> None:
        """Enqueue it, having said when it expires: Huey counts from its own look at the clock, a moment later."""
        eta_ns = time.monotonic_ns() + int(item.expires * 1e9)
        notes.ask(log.ASK_EXPIRY, notes.number_of(item), eta=eta_ns)
        huey.enqueue(item)


WORKLOADS.register("expiry")(Expiry())
