"""`revocation`: tasks that are revoked, in every way that Huey has, and some that are not, or not any more."""

from __future__ import annotations

import datetime
import functools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from harness.history import log
from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec

#: `never` revoked; `before` it is enqueued, for good; the same with `once`, or `until` a time that no run reaches;
#: `lapsed`: until a time that is over; `class`: all tasks of its class are; `restored` again before it is enqueued;
#: `queued`: just after it was enqueued; `scheduled`: the same, and it is due a while later; `running`: by itself.
Way = Literal["never", "before", "once", "until", "lapsed", "class", "restored", "queued", "scheduled", "running"]
#: Longer than any run, and longer ago than clocks of one machine differ.
FAR_S, LAPSED_S = 3600.0, 5.0


@dataclass(frozen=True)
class Revoked:
    """A task, and how it is revoked (see Way)."""

    task: Any
    how: Way


class Revocation(OneTask):
    """Tasks that are revoked before they are enqueued, while they wait or run; and some that are not."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, ClassVar

        from pydantic import Field

        from harness.scenario import Duration, WorkloadSpec

        class RevocationSpec(WorkloadSpec):
            """Tasks that are revoked before they are enqueued, while they wait or run; and some that are not."""

            requires: ClassVar[frozenset[str]] = frozenset({"results", "schedule"})

            kind: Literal["revocation"]
            ways: Annotated[list[Way], Field(min_length=1, max_length=100)] = Field(
                list(get_args(Way)), description="ways to draw from, each as likely"
            )
            delay: Duration = Field(0.5, description="when `scheduled` ones are due")
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

        return RevocationSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """`work`; `closed`, whose class is revoked; `itself`, which revokes itself."""

        def itself(takes_s: float, task: Any = None) -> None:
            with notes.span(log.REVOKE, notes.task):
                huey.revoke(task)
            work(takes_s)

        return {
            "work": huey.task(name="revocation.work")(work),
            "closed": huey.task(name="revocation.closed")(work),
            "itself": huey.task(name="revocation.itself", context=True)(itself),
        }

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Revoked:
        """A task that takes a time between the two bounds."""
        from huey.utils import normalize_time

        how = draw.choice(params["ways"])
        wrapper = tasks[{"class": "closed", "running": "itself"}.get(how, "work")]
        task = wrapper.s(draw.uniform(*params["takes"]))
        if how == "scheduled":
            task.eta = normalize_time(None, params["delay"], wrapper.huey.utc)
        return Revoked(task, how)

    def tasks_of(self, item: Revoked) -> Sequence[Any]:
        """The task."""
        return (item.task,)

    def submit(self, huey: Any, item: Revoked, notes: Notes) -> None:
        """Revoke and enqueue it, in the order that its way has."""
        task, number = item.task, notes.number_of(item.task)

        def revoke(until_s: float = 0.0, once: bool = False) -> None:
            eta = time.monotonic_ns() + int(until_s * 1e9) if until_s else 0
            until = datetime.datetime.now() + datetime.timedelta(seconds=until_s) if until_s else None
            with notes.span(log.REVOKE, number, eta=eta):
                # By its id: the task itself was made under another one, and would revoke that.
                huey.revoke_by_id(task.id, revoke_until=until, revoke_once=once)

        if item.how in ("before", "restored"):
            revoke()
        elif item.how == "once":
            revoke(once=True)
        elif item.how in ("until", "lapsed"):
            revoke(FAR_S if item.how == "until" else -LAPSED_S)
        elif item.how == "class":
            with notes.span(log.REVOKE, number):
                huey.revoke_all(type(task))
        if item.how == "restored":
            with notes.span(log.RESTORE, number):
                huey.restore_by_id(task.id)
        huey.enqueue(task)
        if item.how in ("queued", "scheduled"):
            revoke()


WORKLOADS.register("revocation")(Revocation())
