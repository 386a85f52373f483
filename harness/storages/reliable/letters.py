"""Dead letters: tasks that were given up, and what is known of each."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from harness.storages.reliable.steps import TOKEN_BYTES


@dataclass(frozen=True)
class DeadLetter:
    """A task that was given up. `errors` say what became of its last deliveries, the oldest first."""

    id: str
    entry: bytes
    message: bytes
    deliveries: int
    errors: tuple[str, ...]
    died_at: datetime.datetime


def letter_id(entry: bytes) -> str:
    """By what people name it: the task's id, where the entry has one."""
    return entry[TOKEN_BYTES:].decode(errors="replace") or entry.hex()


def dead_letter(entry: bytes, died_ms: bytes, message: bytes, failed: bytes) -> DeadLetter:
    """As dead.lua lists it; `failed` is the entry's field of `tries`."""
    number, *errors = failed.decode(errors="replace").split("\n")
    return DeadLetter(
        id=letter_id(entry),
        entry=entry,
        message=message,
        deliveries=int(number or 0),
        errors=tuple(error for error in errors if error),
        died_at=datetime.datetime.fromtimestamp(float(died_ms) / 1000, datetime.UTC),
    )
