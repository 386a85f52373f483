"""What step.lua is told, and what it answers, in the form that goes over the wire."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from harness.storages.reliable import scripts
from harness.storages.reliable.scripts import score_of
from harness.storages.reliable.steps import Answer, Delivery, Settle, Step, unseal


class Notify(NamedTuple):
    """Where those who wait for a result are told of it, and for how long."""

    prefix: bytes
    ttl_s: int


def settlement(settle: Settle, notify: Notify | None, further: list[bytes]) -> list[bytes]:
    """The arguments of a settlement; keys that only it has are put into `further`."""
    delivery = settle.delivery
    effects: list[bytes] = []
    count = 0
    for key in settle.deletes:
        effects += (b"delete", key)
    for key, value in settle.results:
        effects += (b"result", key, value)
        if notify is not None:
            further.append(notify.prefix + key)
            place = len(scripts.STEP.roles) + len(further)
            effects += (b"notify", b"%d" % place, b"%d" % notify.ttl_s)
            count += 1
    for put in settle.puts:
        if put.eta_ms is None:
            effects += (b"queue", put.entry, put.message, score_of(put.priority))
        else:
            effects += (b"schedule", put.entry, put.message, b"%d" % put.eta_ms)
    for one in settle.members:
        effects += (b"member", one.chord, b"%d" % one.index, b"%d" % one.size, one.value)
        effects += (one.callback.entry, one.callback.message, score_of(one.callback.priority))
    # A retry carries them itself; of a dead letter they are still wanted.
    if delivery.members is not None and settle.outcome != "dead":
        effects += (b"chord", unseal(delivery.message).chord, b"%d" % len(delivery.members))
        count += 1
    count += len(settle.deletes) + len(settle.results) + len(settle.puts) + len(settle.members)
    error = settle.error.encode(errors="replace")
    return [delivery.claim, delivery.entry, (settle.outcome or "").encode(), error, b"%d" % count, *effects]


def answer_of(step: Step, reply: list[Any]) -> Answer:
    """What the script answered."""
    settled, now_ms, next_ms, leased, revoked, members, rest = reply
    delivery = None
    if leased:
        delivery = _delivery(step.claim or b"", leased, revoked, members, now_ms)
        if rest is None:
            return Answer(settled.decode(), delivery)
    moved, returned, handed, callback = rest or ((), (), (), b"")
    return Answer(
        settled=settled.decode(),
        delivery=delivery,
        next_ms=None if next_ms < 0 else next_ms,
        returned=tuple((claim, entry) for claim, entry in returned),
        moved=tuple(moved),
        handed=tuple(bool(one) for one in handed),
        callback=callback,
    )


#: Number, fence and the entry's length, in front of entry and message: see `deliver` in step.lua.
_LEASED = struct.Struct(">IdH")


def _delivery(claim: bytes, leased: bytes, revoked: Any, members: Any, now_ms: int) -> Delivery:
    number, fence, entry_bytes = _LEASED.unpack_from(leased)
    message_at = _LEASED.size + entry_bytes
    found = None
    if revoked is not None:
        # 0: nothing is stored under either name.
        found = (None, None) if revoked == 0 else (revoked[0], revoked[1])
    return Delivery(
        claim=claim,
        entry=leased[_LEASED.size : message_at],
        message=leased[message_at:],
        number=number,
        fence=int(fence),
        revoked=found,
        members=None if members is None else tuple(members),
        leased_ms=now_ms,
    )


def entry_of(record: bytes) -> bytes:
    """The entry in a claim's record: see `pack` in step.lua."""
    return record[21 + record[20] + 16 :]
