"""What step.lua is told, and what it answers, in the form that goes over the wire."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from harness.storages.reliable import scripts
from harness.storages.reliable.scripts import score_of
from harness.storages.reliable.steps import Answer, Delivery, Settle, Step, unseal

#: In front of the entry in the queue's members: see `line_up` in common.lua.
PLACE_BYTES = 17


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


def answer_of(step: Step, reply: Any) -> Answer:
    """What the script answered: mostly all of it in one string, see `deliver` in step.lua."""
    if isinstance(reply, bytes):
        now_ms, settled, names_revoked = _HEAD.unpack_from(reply)
        found = _NOT_REVOKED if names_revoked else None
        return Answer(_SETTLED[settled], _delivery(step.claim or b"", reply, _HEAD.size, found, None, now_ms))
    settled, now_ms, next_ms, leased, revoked, members, rest = reply
    delivery = None
    if leased:
        # 0: nothing is stored under either name.
        found = None if revoked is None else _NOT_REVOKED if revoked == 0 else (revoked[0], revoked[1])
        delivery = _delivery(step.claim or b"", leased, 0, found, members, now_ms)
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


#: The server's clock in ms, how the settlement ended, whether the message names what revokes it.
_HEAD = struct.Struct(">dBB")
_SETTLED = ("", "ok", "refused")
_NOT_REVOKED = (None, None)
#: Number, fence and the entry's length, in front of entry and message.
_LEASED = struct.Struct(">IdH")


def _delivery(claim: bytes, answer: bytes, at: int, revoked: Any, members: Any, now_ms: float) -> Delivery:
    """What was leased, as it is told from that place of the answer on."""
    number, fence, entry_bytes = _LEASED.unpack_from(answer, at)
    entry_at = at + _LEASED.size
    message_at = entry_at + entry_bytes
    return Delivery(
        entry=answer[entry_at:message_at],
        claim=claim,
        message=answer[message_at:],
        number=number,
        fence=int(fence),
        revoked=revoked,
        members=None if members is None else tuple(members),
        leased_ms=int(now_ms),
    )


def entry_of(record: bytes) -> bytes:
    """The entry in a claim's record: see `pack` in step.lua."""
    return record[21 + record[20] + PLACE_BYTES :]
