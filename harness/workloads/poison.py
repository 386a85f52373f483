"""`poison`: tasks, and among them messages that no consumer can read."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.history import log
from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec

#: How long a storage that tries again waits before the first time: it gives up after seconds instead of a minute.
UNREAD_DELAY_S = 0.05


class Item(NamedTuple):
    """A task, and in what way its message is spoiled; empty: it is not."""

    task: Any
    spoiled: str


class Poison(OneTask):
    """Tasks, some of which no consumer can read."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Literal

        from pydantic import Field

        from harness.scenario import Duration, Share, WorkloadSpec

        class PoisonSpec(WorkloadSpec):
            """Tasks, some of which no consumer can read: of an unknown name, of a missing class, or no task at all."""

            kind: Literal["poison"]
            share: Share = Field(0.05, description="how many of them cannot be read")
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

        return PoisonSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `work`."""
        if hasattr(huey, "unread_delay_s"):
            huey.unread_delay_s = UNREAD_DELAY_S
        return {"work": huey.task(name="poison.work")(work)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Item:
        """A task, perhaps spoiled."""
        task = tasks["work"].s(draw.uniform(*params["takes"]))
        spoiled, how = draw.random() < params["share"], draw.choice(sorted(_SPOILED))
        return Item(task, how if spoiled else "")

    def tasks_of(self, item: Item) -> Sequence[Any]:
        """The task."""
        return (item.task,)

    def submit(self, huey: Any, item: Item, notes: Notes) -> None:
        """Enqueue it, or put its spoiled message straight into the storage's queue."""
        if item.spoiled:
            notes.ask(log.ASK_DEAD, notes.number_of(item.task))
            huey.storage.enqueue(_SPOILED[item.spoiled](huey, item.task))
        else:
            huey.enqueue(item.task)


def _unknown(huey: Any, task: Any) -> bytes:
    """A message as Huey makes it, of a task that no consumer knows."""
    message: bytes = huey.serialize_task(task)
    spoiled = message.replace(b"poison.work", b"poison.gone")
    if spoiled == message:
        raise ValueError(
            "the message does not name its task in plain text: a serializer that this workload cannot spoil"
        )
    return spoiled


def _missing(huey: Any, task: Any) -> bytes:
    """A pickle of a class that is not there (pickletools: GLOBAL, MARK, UNICODE, TUPLE, REDUCE, STOP)."""
    return f"charness.workloads.poison\nGone\n(V{task.id}\ntR.".encode()


def _garbage(huey: Any, task: Any) -> bytes:
    """What is no message of anything."""
    return b"\x00\xff no task: " + str(task.id).encode()


_SPOILED = {"unknown": _unknown, "missing": _missing, "garbage": _garbage}

WORKLOADS.register("poison")(Poison())
