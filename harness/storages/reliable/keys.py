"""The keys of one queue. All of them carry the hash tag `{name}`, and so does what stock storages call theirs."""

from __future__ import annotations

from dataclasses import dataclass

#: The version of the format below: what another version wrote is not touched, nor seen.
VERSION = 1


@dataclass(frozen=True)
class Keys:
    """Names of the keys, by their role in the scripts.

    queue: sorted set, score = minus priority, member = 16 hex digits of a server-side counter, a mark
    (`n`, or `t` where tries may know the entry) and the entry's id.
    entries: hash, entry's id -> message; for as long as the entry is queued, scheduled, leased or dead.
    leases: sorted set, claim -> end of the lease in ms. claims: hash, claim -> place, number, fence, holder, entry.
    schedule: sorted set, entry's id -> eta in ms. dead: sorted set, entry's id -> time of death in ms.
    tries: hash, entry's id -> number of failed deliveries, and what became of them.
    done, done_old: hash, entry's id -> the claim that completed it, and a chord's callback that it lined up; kept for a
    while. chords: hash, members' results.
    meta: hash, counters. wake: list, a token for each consumer that should look for work.
    """

    queue: str
    entries: str
    leases: str
    claims: str
    schedule: str
    tries: str
    done: str
    done_old: str
    dead: str
    chords: str
    meta: str
    wake: str

    @classmethod
    def of(cls, name: str) -> Keys:
        """The keys of the queue of that name (cleaned, and with a hash tag)."""
        prefix = f"huey.reliable.{VERSION}.{name}."
        return cls(**{role: prefix + role for role in cls.__dataclass_fields__})
