"""`chords`: tasks, and a callback that is run with what all of them returned; some fail, are revoked, or are none."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.history import log
from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.payloads import digest, payload
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class MemberFailed(Exception):
    """What a member that is to fail raises."""


@dataclass(frozen=True)
class Chord:
    """Its tasks, the callback, and what each task is to return (None: it fails, or must not run).

    `how`: whether the task number `odd` fails, or is revoked before it is enqueued; or the chord has no members at all,
    and the tasks are enqueued beside it.
    """

    members: tuple[Any, ...]
    callback: Any
    returns: tuple[str | None, ...]
    how: Literal["plain", "failing", "revoked", "empty"]
    odd: int


class Chords(OneTask):
    """Tasks with a callback, which is run once with what all of them returned."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, ClassVar

        from pydantic import Field, model_validator

        from harness.scenario import Duration, WorkloadSpec

        class ChordsSpec(WorkloadSpec):
            """Tasks with a callback, which is run once with what all of them returned."""

            requires: ClassVar[frozenset[str]] = frozenset({"results"})
            since: ClassVar[tuple[str, str]] = ("3.0.0", "huey.chord")

            kind: Literal["chords"]
            members: Annotated[int, Field(ge=1, le=100)] = Field(4, description="members of a chord")
            failing: Annotated[float, Field(ge=0, le=1)] = Field(
                0.1, description="share of chords of which a member fails; the callback is told in its place"
            )
            revoked: Annotated[float, Field(ge=0, le=1)] = Field(
                0.1, description="share of chords of which a member is revoked; the callback is told in its place"
            )
            empty: Annotated[float, Field(ge=0, le=1)] = Field(0.1, description="share of chords without members")
            size: Annotated[int, Field(ge=16, le=1_000_000)] = Field(64, description="characters that each returns")
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

            @model_validator(mode="after")
            def _shares(self) -> ChordsSpec:
                if self.failing + self.revoked + self.empty > 1:
                    raise ValueError("failing, revoked and empty must be 1 at most together")
                return self

            @property
            def numbers(self) -> int:
                return self.members + 1

        return ChordsSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """Two tasks, `member` and `callback`."""
        from huey.utils import Error

        def member(takes_s: float, salt: int, size: int, fails: bool) -> str:
            work(takes_s)
            if fails:
                raise MemberFailed("as it was asked to")
            return payload(salt, None, size)

        def callback(takes_s: float, *given: Any) -> None:
            # One list is expected; of several, the members' values are told one behind the other.
            for values in given:
                for value in values:
                    # Hueys before 3.0.2 hand on the exception itself.
                    failed = isinstance(value, (Error, Exception))
                    missing = log.FAILED if failed else None if isinstance(value, str) else _SKIPPED.get(repr(value))
                    with notes.span(log.RECEIVE, notes.task) as span:
                        span.value = digest(value) if missing is None else missing
                        span.failed = missing is not None
            work(takes_s)

        return {
            "member": huey.task(name="chords.member")(member),
            "callback": huey.task(name="chords.callback")(callback),
        }

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Chord:
        """A chord whose tasks take a time between the two bounds each."""
        size, members = params["size"], params["members"]
        takes_s = [draw.uniform(*params["takes"]) for _ in range(members + 1)]
        salts = [draw.getrandbits(32) for _ in range(members)]
        odd, chance = draw.randrange(members), draw.random()
        how: Literal["plain", "failing", "revoked", "empty"] = "plain"
        for share in ("failing", "revoked", "empty"):
            if 0 <= chance < params[share]:
                how = share
            chance -= params[share]
        if how in ("plain", "empty"):
            odd = members
        made = [tasks["member"].s(takes_s[i], salts[i], size, how == "failing" and i == odd) for i in range(members)]
        returns = [None if i == odd else payload(salts[i], None, size) for i in range(members)]
        return Chord(tuple(made), tasks["callback"].s(takes_s[members]), tuple(returns), how, odd)

    def tasks_of(self, item: Chord) -> Sequence[Any]:
        """Its members, and its callback."""
        return (*item.members, item.callback)

    def submit(self, huey: Any, item: Chord, notes: Notes) -> None:
        """Enqueue the members; the callback is enqueued by who runs the last of them, or at once if there is none."""
        from huey import chord

        callback = notes.number_of(item.callback)
        members = () if item.how == "empty" else item.members
        for member, value in zip(item.members, item.returns, strict=True):
            if value is not None:
                notes.ask(log.ASK_RESULT, notes.number_of(member), digest(value))
        # In the order of the list, which the callback's own ends.
        for task in (*members, item.callback):
            notes.ask(log.ASK_CHORD, notes.number_of(task), callback)
        if item.how == "revoked":
            odd = item.members[item.odd]
            with notes.span(log.REVOKE, notes.number_of(odd)):
                huey.revoke_by_id(odd.id)  # the task itself was made under another id, and would revoke that
        huey.enqueue(chord(list(members), item.callback))
        if item.how == "empty":
            for member in item.members:
                huey.enqueue(member)


#: What stands in the list for a member that was not run: a mark of its own, with some Hueys before 3.5 None.
_SKIPPED = {"SKIPPED": log.REVOKED, "None": log.DONE}

WORKLOADS.register("chords")(Chords())
