"""The scripts as the server gets them: names for their keys, what they share, and the file beside this one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "lua"


@dataclass(frozen=True)
class Script:
    """A Lua script. `roles` name its first keys; see keys.py."""

    source: str
    sha: bytes
    roles: tuple[str, ...]


def _load(name: str, *roles: str, optional: tuple[str, ...] = ()) -> Script:
    names = [role.upper() for role in (*roles, *optional)]
    head = f"local {', '.join(names)} = {', '.join(f'KEYS[{i}]' for i in range(1, len(names) + 1))}\n"
    source = head + (_FOLDER / "common.lua").read_text() + (_FOLDER / f"{name}.lua").read_text()
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest().encode(), roles)


PUT = _load("put", "queue", "entries", "schedule", "meta", "wake", "done", "done_old", optional=("once",))
STEP = _load(
    "step",
    *(
        "queue",
        "entries",
        "leases",
        "claims",
        "schedule",
        "tries",
        "done",
        "done_old",
        "dead",
        "chords",
        "meta",
        "wake",
    ),
    "results",
)
RENEW = _load("renew", "leases", "meta")
LOCK = _load("lock", "leases", "claims", "meta", "results")
PASS = _load("pass", "meta", "results", "counters")
POP_SCHEDULE = _load("pop_schedule", "entries", "schedule", "meta")
FLUSH = _load("flush", "queue", "entries", "schedule", "tries", "meta")
DEAD = _load("dead", "queue", "entries", "tries", "done", "done_old", "dead", "chords", "meta", "wake")
ADOPT = _load("adopt", "queue", "entries", "schedule", "meta", "wake", "stock", "stock_schedule")


def packed(*words: bytes) -> bytes:
    """Words as the protocol has them, without the count in front."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


class Call:
    """A script with its fixed keys, packed once: what is sent thousands of times a second is mostly this."""

    def __init__(self, script: Script, keys: dict[str, str]) -> None:
        self.script = script
        self._keys = [keys[role].encode() for role in script.roles]
        self._fixed = packed(b"EVALSHA", script.sha, b"%d" % len(self._keys), *self._keys)

    def evalsha(self, arguments: Sequence[bytes], further_keys: Sequence[bytes] = ()) -> bytes:
        """The request; keys that only this call has come after the fixed ones."""
        if not further_keys:
            count = 3 + len(self._keys) + len(arguments)
            return b"*%d\r\n" % count + self._fixed + packed(*arguments)
        return self._whole((b"EVALSHA", self.script.sha), arguments, further_keys)

    def eval(self, arguments: Sequence[bytes], further_keys: Sequence[bytes] = ()) -> bytes:
        """The same for a server that does not know the script yet."""
        return self._whole((b"EVAL", self.script.source.encode()), arguments, further_keys)

    def _whole(self, head: tuple[bytes, bytes], arguments: Sequence[bytes], further_keys: Sequence[bytes]) -> bytes:
        keys = [*self._keys, *further_keys]
        return command(*head, b"%d" % len(keys), *keys, *arguments)


def command(*words: bytes) -> bytes:
    """Any command as it goes over the wire."""
    return b"*%d\r\n" % len(words) + packed(*words)


def text(value: Any) -> bytes:
    """A number, or text, as an argument."""
    return value if isinstance(value, bytes) else str(value).encode()


def words(*values: Any) -> list[bytes]:
    """Arguments of a script."""
    return [text(value) for value in values]


def score_of(priority: float) -> bytes:
    """The place of a priority in the queue's sorted set, smallest first. Raises ValueError for what is no number."""
    if priority != priority:
        raise ValueError("priority is nan, which has no place in any order")
    return b"%r" % -priority if priority else b"0"


def flat(pairs: Iterable[tuple[bytes, ...]]) -> list[bytes]:
    """One list of all."""
    return [word for pair in pairs for word in pair]
