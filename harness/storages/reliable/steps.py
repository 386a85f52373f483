"""What a storage with acknowledgement is asked to do: steps, each carried out whole or not at all."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

#: An entry's id is a token, drawn once for each call of enqueue, and the task's id behind it.
TOKEN_BYTES = 12
#: Longest part of a task's id that goes into the entry's.
TASK_ID_BYTES_MAX = 128

#: What a message of ours begins with; nothing that pickle, JSON or gzip writes does.
MAGIC = b"\0hr1"
#: After it: priority; lengths of the task's id, of the key that revokes its class, of its chord's id; then those three.
_HEADER = struct.Struct(">dHHH")
_HEADER_BYTES = len(MAGIC) + _HEADER.size
_ID_BYTES_AT = len(MAGIC) + 8


class Envelope(NamedTuple):
    """What the server must know of a message, and the payload, which only Huey can read."""

    payload: bytes
    priority: float = 0.0
    task_id: bytes = b""
    revoke_key: bytes = b""
    #: The chord whose members' results are this task's argument.
    chord: bytes = b""

    def seal(self) -> bytes:
        """The message."""
        header = _HEADER.pack(self.priority, len(self.task_id), len(self.revoke_key), len(self.chord))
        return b"".join((MAGIC, header, self.task_id, self.revoke_key, self.chord, self.payload))


def unseal(message: bytes) -> Envelope:
    """The envelope of a message; one without our header (of a stock storage) is all payload."""
    if message[:4] != MAGIC or len(message) < _HEADER_BYTES:
        return Envelope(message)
    priority, id_bytes, key_bytes, chord_bytes = _HEADER.unpack_from(message, len(MAGIC))
    key_at = _HEADER_BYTES + id_bytes
    chord_at = key_at + key_bytes
    payload_at = chord_at + chord_bytes
    return Envelope(
        message[payload_at:],
        priority,
        message[_HEADER_BYTES:key_at],
        message[key_at:chord_at],
        message[chord_at:payload_at],
    )


def new_entry(message: bytes) -> bytes:
    """An id for one more entry with that message."""
    return os.urandom(TOKEN_BYTES) + task_id_of(message)[:TASK_ID_BYTES_MAX]


def task_id_of(message: bytes) -> bytes:
    """The id of the task in a message of ours; else nothing."""
    if message[:4] != MAGIC:
        return b""
    id_bytes = int.from_bytes(message[_ID_BYTES_AT : _ID_BYTES_AT + 2], "big")
    return message[_HEADER_BYTES : _HEADER_BYTES + id_bytes]


def new_claim() -> bytes:
    """An id for one more lease. Drawn by the client: a counter of the server's is rolled back with its primary."""
    return os.urandom(16)


class Put(NamedTuple):
    """One message into the queue or, with `eta_ms` (of the epoch), into the schedule.

    Of all puts with the same `once` within its time only the first counts.
    """

    entry: bytes
    message: bytes
    priority: float = 0.0
    eta_ms: int | None = None
    once: bytes = b""


class Delivery(NamedTuple):
    """What a worker holds: one entry, under one claim, for as long as the lease is renewed.

    `number` is 1 when the entry is given out for the first time. `fence` grows from each lease of the queue to the
    next. `revoked` is what was stored under the keys that revoke the task, and its class, when it was leased; None
    where the message does not name them. `members` are the results that a chord's callback is called with. `leased_ms`
    is the time of the answer on the server's clock.
    """

    entry: bytes
    claim: bytes
    message: bytes
    number: int
    fence: int
    revoked: tuple[bytes | None, bytes | None] | None = None
    members: tuple[bytes | None, ...] | None = None
    leased_ms: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """The result of one member of a chord. Whoever brings the last one in lines up the callback."""

    chord: bytes
    index: int
    size: int
    value: bytes
    callback: Put


class Settle(NamedTuple):
    """The end of a delivery, with all that it hands over.

    `outcome` is `done`, `failed`, `revoked`, `expired`, `cancelled`, `dead` (kept among the dead letters, with
    `error`), or None when the task goes on (a retry, a later eta: see `puts`).
    """

    delivery: Delivery
    outcome: str | None
    puts: tuple[Put, ...] = ()
    results: tuple[tuple[bytes, bytes], ...] = ()
    deletes: tuple[bytes, ...] = ()
    members: tuple[Member, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Back:
    """A delivery handed back unfinished, to its old place, or to the schedule for as long as `delay_ms`.

    With `error` it counts towards `max_deliveries`.
    """

    delivery: Delivery
    error: str = ""
    delay_ms: int = 0


class Step(NamedTuple):
    """Any of these, atomically, in this order. `claim` leases the next task, `move` only moves what is due.

    A `put` comes alone.
    """

    put: Put | None = None
    settle: Settle | None = None
    back: tuple[Back, ...] = ()
    claim: bytes | None = None
    move: bool = False


class Answer(NamedTuple):
    """What came of a step.

    `settled` is `ok`, or `refused` when the lease was lost: somebody else has, or had, the task. `next_ms`: time to the
    next deadline (an eta, the end of a lease) if there was nothing to lease. `returned`: claims, with their entries,
    whose leases had run out; `moved`: entries that became due. `handed`: which of `back` were still held.
    `dropped`: `put.once` was known already. `callback`: the entry of a chord's callback that the settlement lined up,
    as its member was the last.
    """

    settled: str = ""
    delivery: Delivery | None = None
    next_ms: int | None = None
    returned: tuple[tuple[bytes, bytes], ...] = ()
    moved: tuple[bytes, ...] = ()
    handed: tuple[bool, ...] = ()
    dropped: bool = False
    callback: bytes = b""


#: Carries a step out.
Perform = Callable[[Step], Answer]
