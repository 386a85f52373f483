"""`pipelines`: tasks that hand what they return to the next one, by `task.then(…)`; some fail in the middle."""

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

#: Where no member fails.
NOBODY = -1


class MemberFailed(Exception):
    """What a member that is to fail raises."""


@dataclass(frozen=True)
class Pipeline:
    """Its members, each of which hands on to the next, and what each returns; None of those that fail or never run."""

    members: tuple[Any, ...]
    returns: tuple[str | None, ...]


class Pipelines(OneTask):
    """Chains of tasks: each begins when the one before has returned, and is given what that returned."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, Literal

        from pydantic import Field

        from harness.scenario import Duration, WorkloadSpec

        class PipelinesSpec(WorkloadSpec):
            """Chains of tasks: each begins when the one before has returned, and is given what that returned."""

            kind: Literal["pipelines"]
            length: Annotated[int, Field(ge=2, le=100)] = Field(4, description="tasks of a chain")
            failing: Annotated[float, Field(ge=0, le=1)] = Field(
                0.1, description="share of chains of which a member fails; those behind it must not run"
            )
            size: Annotated[int, Field(ge=16, le=1_000_000)] = Field(64, description="characters that are handed on")
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

            @property
            def numbers(self) -> int:
                return self.length

        return PipelinesSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `member`."""

        def member(takes_s: float, salt: int, size: int, fails: bool, *given: Any) -> str:
            # All that it is given, of which there is to be one: a value may be handed on twice.
            for value in given:
                with notes.span(log.RECEIVE, notes.task, digest(value)):
                    pass
            work(takes_s)
            if fails:
                raise MemberFailed("as it was asked to")
            return payload(salt, given[0] if given else None, size)

        return {"member": huey.task(name="pipelines.member")(member)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Pipeline:
        """A chain of tasks that take a time between the two bounds each."""
        length, size = params["length"], params["size"]
        takes_s = [draw.uniform(*params["takes"]) for _ in range(length)]
        salts = [draw.getrandbits(32) for _ in range(length)]
        failing, chance = draw.randrange(length), draw.random()
        if chance >= params["failing"]:
            failing = NOBODY
        members = tuple(tasks["member"].s(takes_s[i], salts[i], size, i == failing) for i in range(length))
        returns: list[str | None] = []
        given = None
        for i in range(length):
            given = None if i == failing or (i and given is None) else payload(salts[i], given, size)
            returns.append(given)
        for one in members[1:]:
            members[0].then(one)
        return Pipeline(members, tuple(returns))

    def tasks_of(self, item: Pipeline) -> Sequence[Any]:
        """Its members, in the order in which they run."""
        return item.members

    def submit(self, huey: Any, item: Pipeline, notes: Notes) -> None:
        """Enqueue the first member: the others are enqueued by those that run the ones before them."""
        numbers = [notes.number_of(one) for one in item.members]
        for i in range(1, len(numbers)):
            notes.ask(log.ASK_PIPELINE, numbers[i], numbers[i - 1])
        for number, value in zip(numbers, item.returns, strict=True):
            if value is not None:
                notes.ask(log.ASK_RESULT, number, digest(value))
        huey.enqueue(item.members[0])


WORKLOADS.register("pipelines")(Pipelines())
