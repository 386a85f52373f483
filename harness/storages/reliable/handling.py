"""What a worker has in hand, and what is to be handed over with its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.storages.reliable.steps import Delivery, Member, Put


@dataclass
class Handling:
    """A delivery that is being executed, how far that has come, and what is to be handed over with its end.

    `collecting`: what the storage is asked for now becomes part of that end; not so in the task's own body, which has
    `begun` then. `outcome` is how it ended as far as is known. `callback`: of the chord that the task is a member of.
    """

    delivery: Delivery
    task: Any = None
    outcome: str | None = "failed"
    begun: bool = False
    interrupted: bool = False
    callback: Any = None
    collecting: bool = True
    puts: list[Put] = field(default_factory=list)
    results: list[tuple[bytes, bytes]] = field(default_factory=list)
    deletes: list[bytes] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)


class Local(threading.local):
    """Of one worker."""

    handling: Handling | None = None
    #: Leased together with the end of the last task.
    ahead: Delivery | None = None
    #: The claim of a lease that was asked for, and whose answer never came: asked for again under the same id.
    open_claim: bytes | None = None
    #: Whether to lease the next task with the end of this one.
    goes_on: Callable[[], bool] | None = None
    #: Whether this is a scheduler, for which due tasks are moved, not handed out.
    moves_schedule = False
    #: A task's id, and what it is to be enqueued once for.
    once = (b"", b"")
