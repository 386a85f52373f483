"""`groups`: tasks that are enqueued together, whose results their producer then waits for, in their order."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.history import log
from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.payloads import digest, payload
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


@dataclass(frozen=True)
class Group:
    """Its tasks, what each is to return, and how long all are waited for."""

    members: tuple[Any, ...]
    returns: tuple[str, ...]
    patience_s: float


class Groups(OneTask):
    """Tasks that are enqueued together, whose results are then waited for."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, ClassVar, Literal

        from pydantic import Field

        from harness.scenario import Duration, WorkloadSpec

        class GroupsSpec(WorkloadSpec):
            """Tasks that are enqueued together, whose results are then waited for."""

            requires: ClassVar[frozenset[str]] = frozenset({"results"})
            since: ClassVar[tuple[str, str]] = ("3.0.0", "huey.group")

            kind: Literal["groups"]
            members: Annotated[int, Field(ge=1, le=100)] = Field(4, description="members of a group")
            patience: Duration = Field(5.0, description="how long the producer waits for all of a group's results")
            size: Annotated[int, Field(ge=16, le=1_000_000)] = Field(64, description="characters that each returns")
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

            @property
            def numbers(self) -> int:
                return self.members

        return GroupsSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `member`."""

        def member(takes_s: float, salt: int, size: int) -> str:
            work(takes_s)
            return payload(salt, None, size)

        return {"member": huey.task(name="groups.member")(member)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Group:
        """A group whose tasks take a time between the two bounds each."""
        size = params["size"]
        drawn = [(draw.uniform(*params["takes"]), draw.getrandbits(32)) for _ in range(params["members"])]
        return Group(
            tuple(tasks["member"].s(takes_s, salt, size) for takes_s, salt in drawn),
            tuple(payload(salt, None, size) for _, salt in drawn),
            params["patience"],
        )

    def tasks_of(self, item: Group) -> Sequence[Any]:
        """Its members."""
        return item.members

    def submit(self, huey: Any, item: Group, notes: Notes) -> None:
        """Enqueue them, wait for all of their results, and note what came in the place of each."""
        from huey import group

        numbers = [notes.number_of(one) for one in item.members]
        for number, value in zip(numbers, item.returns, strict=True):
            notes.ask(log.ASK_RESULT, number, digest(value))
        results = huey.enqueue(group(list(item.members)))
        values = results.get(blocking=True, timeout=item.patience_s)
        for number, value in zip(numbers, values, strict=True):
            with notes.span(log.GET_RESULT, number, digest(value)):
                pass


WORKLOADS.register("groups")(Groups())
