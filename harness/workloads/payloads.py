"""Values that tasks return and hand on: made of what they depend on, and known by a number in a history."""

from __future__ import annotations

import hashlib
from typing import Any


def payload(salt: int, given: Any, size: int) -> str:
    """A text of `size` hexadecimal digits that depends on all of both."""
    seed = hashlib.blake2b(f"{salt}/{given!r}".encode(), digest_size=16).hexdigest()
    return (seed * (size // len(seed) + 1))[:size]


def digest(value: Any) -> int:
    """A value as a number that fits a record: 62 bits of a digest, never 0."""
    return int.from_bytes(hashlib.blake2b(repr(value).encode(), digest_size=8).digest(), "big") >> 2 or 1
