"""The checker of concurrent histories, by histories whose verdict is plain."""

from __future__ import annotations

import pytest

from .linear import Call, linearizable
from .model import Model
from .subjects import SUBJECTS

MEMORY = next(subject for subject in SUBJECTS if subject.name == "memory")


def enqueue(payload: bytes, called: int, answered: int) -> Call:
    return Call("enqueue", (payload, None), None, called, answered)


def dequeue(payload: bytes | None, called: int, answered: int) -> Call:
    return Call("dequeue", (), payload, called, answered)


@pytest.mark.parametrize(
    ("calls", "possible"),
    [
        ([enqueue(b"a", 0, 1), enqueue(b"b", 2, 3), dequeue(b"a", 4, 5), dequeue(b"b", 6, 7)], True),
        # One after the other, and out in the other order.
        ([enqueue(b"a", 0, 1), enqueue(b"b", 2, 3), dequeue(b"b", 4, 5)], False),
        # At once: either order will do, but one of them.
        ([enqueue(b"a", 0, 3), enqueue(b"b", 1, 2), dequeue(b"b", 4, 5), dequeue(b"a", 6, 7)], True),
        # Before it was put in; twice; empty when something certainly was there; empty while it may have been.
        ([dequeue(b"a", 0, 1), enqueue(b"a", 2, 3)], False),
        ([enqueue(b"a", 0, 1), dequeue(b"a", 2, 4), dequeue(b"a", 3, 5)], False),
        ([enqueue(b"a", 0, 1), dequeue(None, 2, 3), dequeue(b"a", 4, 5)], False),
        ([enqueue(b"a", 0, 3), dequeue(None, 1, 2), dequeue(b"a", 4, 5)], True),
        # Lost: nobody has it, and it is not there.
        ([enqueue(b"a", 0, 1), Call("enqueued_items", (), [], 2, 3)], False),
        # Two who count at once are told two numbers.
        ([Call("incr", ("k",), 2, 0, 2), Call("incr", ("k",), 1, 1, 3)], True),
        ([Call("incr", ("k",), 2, 0, 2), Call("incr", ("k",), 2, 1, 3)], False),
    ],
)
def test_histories(calls: list[Call], possible: bool) -> None:
    assert linearizable(Model(MEMORY), calls) is possible


def test_loose_order_is_still_by_priority() -> None:
    calls = [
        Call("enqueue", (b"a", 1), None, 0, 1),
        Call("enqueue", (b"b", 1), None, 2, 3),
        Call("enqueue", (b"low", 0), None, 4, 5),
    ]
    assert linearizable(Model(MEMORY, loose=True), [*calls, dequeue(b"b", 6, 7)])
    assert not linearizable(Model(MEMORY), [*calls, dequeue(b"b", 6, 7)])
    assert not linearizable(Model(MEMORY, loose=True), [*calls, dequeue(b"low", 6, 7)])
