"""`groups`: tasks that are enqueued together, whose results their producer then reads; some fail, or are revoked."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from huey.exceptions import HueyException, TaskException

from harness.history import log
from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.payloads import digest, payload
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class MemberFailed(Exception):
    """What a member that is to fail raises."""


@dataclass(frozen=True)
class Group:
    """Its tasks, what each is to return (None: it fails, or must not run), and how long all are waited for.

    `how`: whether the task number `odd` fails, or is revoked before the group is enqueued.
    """

    members: tuple[Any, ...]
    returns: tuple[str | None, ...]
    how: Literal["plain", "failing", "revoked"]
    odd: int
    patience_s: float


class Groups(OneTask):
    """Tasks that are enqueued together, whose results are then read in their order."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, ClassVar

        from pydantic import Field, model_validator

        from harness.scenario import Duration, WorkloadSpec

        class GroupsSpec(WorkloadSpec):
            """Tasks that are enqueued together, whose results are then read in their order."""

            requires: ClassVar[frozenset[str]] = frozenset({"results"})
            since: ClassVar[tuple[str, str]] = ("3.0.0", "huey.group")

            kind: Literal["groups"]
            members: Annotated[int, Field(ge=1, le=100)] = Field(4, description="members of a group")
            failing: Annotated[float, Field(ge=0, le=1)] = Field(
                0.1, description="share of groups of which a member fails; its error comes in its place"
            )
            revoked: Annotated[float, Field(ge=0, le=1)] = Field(
                0.1, description="share of groups of which a member is revoked; nothing comes in its place"
            )
            patience: Duration = Field(5.0, description="how long the producer waits for all of a group's results")
            size: Annotated[int, Field(ge=16, le=1_000_000)] = Field(64, description="characters that each returns")
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

            @model_validator(mode="after")
            def _shares(self) -> GroupsSpec:
                if self.failing + self.revoked > 1:
                    raise ValueError("failing and revoked must be 1 at most together")
                return self

            @property
            def numbers(self) -> int:
                return self.members

        return GroupsSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `member`."""

        def member(takes_s: float, salt: int, size: int, fails: bool) -> str:
            work(takes_s)
            if fails:
                raise MemberFailed("as it was asked to")
            return payload(salt, None, size)

        return {"member": huey.task(name="groups.member")(member)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Group:
        """A group whose tasks take a time between the two bounds each."""
        size, members = params["size"], params["members"]
        drawn = [(draw.uniform(*params["takes"]), draw.getrandbits(32)) for _ in range(members)]
        odd, chance = draw.randrange(members), draw.random()
        how: Literal["plain", "failing", "revoked"] = "plain"
        if chance < params["failing"]:
            how = "failing"
        elif chance < params["failing"] + params["revoked"]:
            how = "revoked"
        else:
            odd = members
        return Group(
            tuple(tasks["member"].s(*one, size, how == "failing" and at == odd) for at, one in enumerate(drawn)),
            tuple(None if at == odd else payload(salt, None, size) for at, (_, salt) in enumerate(drawn)),
            how,
            odd,
            params["patience"],
        )

    def tasks_of(self, item: Group) -> Sequence[Any]:
        """Its members."""
        return item.members

    def submit(self, huey: Any, item: Group, notes: Notes) -> None:
        """Enqueue them, wait for their results, and note what came in the place of each."""
        from huey import group

        numbers = [notes.number_of(one) for one in item.members]
        for number, value in zip(numbers, item.returns, strict=True):
            notes.ask(log.ASK_GROUP, number, numbers[0])
            if value is not None:
                notes.ask(log.ASK_RESULT, number, digest(value))
        if item.how == "revoked":
            odd = item.members[item.odd]
            with notes.span(log.REVOKE, numbers[item.odd]):
                huey.revoke_by_id(odd.id)  # the task itself was made under another id, and would revoke that
        results = huey.enqueue(group(list(item.members)))
        listed = _wait(results, item)
        for at, result in enumerate(results):
            # In the place of what is there beyond the members, the group itself.
            with notes.span(log.RECEIVE, numbers[at] if at < len(numbers) else numbers[0]) as span:
                span.value, span.failed = _told(result, listed[at] if listed else None)


def _wait(results: Any, item: Group) -> list[Any]:
    """The results as one list, where all of them come; else nothing, and each has been waited for."""
    if item.how == "plain":
        with suppress(HueyException):
            values: list[Any] = results.get(blocking=True, timeout=item.patience_s)
            return values
        return []
    # A list of them would end at the one that fails, or never comes.
    for at, result in enumerate(results):
        if (item.how, at) != ("revoked", item.odd):
            with suppress(HueyException):
                result.get(blocking=True, timeout=item.patience_s)
    return []


def _told(result: Any, listed: Any) -> tuple[int, bool]:
    """What stands in a place: a value's digest, or the code of an outcome, and that it is one."""
    if listed is not None:
        return digest(listed), False
    try:
        value = result.get()  # it remembers what it was given
    except TaskException:
        return log.FAILED, True
    return (log.REVOKED, True) if value is None else (digest(value), False)


WORKLOADS.register("groups")(Groups())
