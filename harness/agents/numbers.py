"""Numbers of tasks and of their entries: a history knows them by nothing else."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

#: Ids of our own tasks are this and twelve digits, so that a task's number is found in a payload without unpickling.
ID_PREFIX = b"hh-"
ID_DIGITS = 12
#: An entry's id, of a storage with acknowledgement: so many random bytes, and the task's id behind them.
TOKEN_BYTES = 12


def task_id(number: int) -> str:
    """The Huey task id of the task with that number."""
    return f"hh-{number:0{ID_DIGITS}d}"


def number_of_id(identifier: str) -> int:
    """The number of a task id; of an id that is not ours, 62 bits of its digest (stable, never below 2**61)."""
    # Constants, not names of them: this is run for every task, twice.
    if identifier[:3] == "hh-" and (digits := identifier[3:15]).isdigit():
        return int(digits)
    digest = hashlib.blake2b(identifier.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 3 | 1 << 61


def number_in(data: bytes, huey: Any) -> int:
    """The number of the task in a payload."""
    at = data.find(ID_PREFIX)
    if at >= 0 and (digits := data[at + 3 : at + 15]).isdigit():
        return int(digits)
    # Without making a task of it where possible: its class need not be known here.
    for identify in (huey.serializer.deserialize, huey.deserialize_task):
        try:
            return number_of_id(identify(data).id)
        except Exception:
            continue
    # What came out is no task: it has a number all the same, that of nothing that was ever put in.
    return number_of_id("garbage:" + hashlib.blake2b(bytes(data), digest_size=8).hexdigest())


def number_of_entry(entry: bytes) -> int | None:
    """The number of the task that an entry is of; None where its id does not say."""
    identifier = entry[TOKEN_BYTES:].decode(errors="replace")
    return number_of_id(identifier) if identifier else None


def entry_number(entry: bytes) -> int:
    """`entry` in a history, from the entry's id alone: agents do not know what the others have counted.

    31 bits of a checksum of the random token; never 0, which stands for storages that do not tell entries apart. Two
    entries of one task are taken for one with a chance of 2**-31.
    """
    return zlib.crc32(entry[:TOKEN_BYTES]) >> 1 or 1
