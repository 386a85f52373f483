"""Operations drawn at random, kept off what a subject is known to do otherwise."""

from __future__ import annotations

import datetime
import math
from typing import Any

from hypothesis import strategies as st

from .finds import find_of
from .rules.schedule import T
from .subjects import Subject

#: A method's name and its arguments.
Operation = tuple[str, tuple[Any, ...]]

KEYS = st.sampled_from(["a", "b", "ключ", "a b*"])
PAYLOADS = st.sampled_from([b"", b"\0", b"x", b"y", "я".encode()])


def priorities(subject: Subject) -> st.SearchStrategy[float | None]:
    if subject.priorities == "none":
        return st.sampled_from([None, 0])
    if subject.priorities == "whole":
        return st.sampled_from([None, 0, 1, 2, 65535])
    return st.sampled_from([None, 0, 1, 2, -1, 0.5, -0.5, 1e300, math.inf])


def times(subject: Subject) -> st.SearchStrategy[datetime.datetime]:
    """A few instants, as near to each other as the subject tells them apart."""
    step = datetime.timedelta(microseconds=1)
    if find_of("schedule-due-at-its-microsecond", subject):
        step = datetime.timedelta(milliseconds=1)
    return st.integers(0, 4).map(lambda n: T + n * step)


def limits(subject: Subject) -> st.SearchStrategy[int | None]:
    known = find_of("queue-limit-0", subject) or find_of("schedule-limit-0", subject)
    return st.sampled_from([None, 1, 2, 5] if known else [None, 0, 1, 2, 5])


def of_two_clients(subject: Subject) -> st.SearchStrategy[Operation]:
    """Operations for clients at once. Payloads are numbered later."""
    found: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
        name: arguments for name, arguments in changes(subject).items() if not name.startswith("flush")
    }
    keys = st.sampled_from(["a", "b"])
    found.update(
        put_data=st.tuples(keys, st.just(b"")), put_if_empty=st.tuples(keys, st.just(b"")),
        incr=st.tuples(keys), delete_counter=st.tuples(keys),
        **dict.fromkeys(("pop_data", "delete_data", "peek_data", "has_data_for_key"), st.tuples(keys)),
        **dict.fromkeys(("queue_size", "schedule_size"), st.just(())),
    )  # fmt: skip
    if find_of("between-two-increments", subject):
        del found["incr"], found["delete_counter"]
    if find_of("between-a-look-and-the-read", subject):
        del found["peek_data"]
    return st.sampled_from(sorted(found)).flatmap(lambda name: st.tuples(st.just(name), found[name]))


def changes(subject: Subject) -> dict[str, st.SearchStrategy[tuple[Any, ...]]]:
    """Arguments of the methods that change something, or may."""
    return {
        "enqueue": st.tuples(PAYLOADS, priorities(subject)),
        "dequeue": st.just(()),
        "add_to_schedule": st.tuples(PAYLOADS, times(subject)),
        "read_schedule": st.tuples(times(subject)),
        "put_data": st.tuples(KEYS, PAYLOADS, st.booleans()),
        "pop_data": st.tuples(KEYS),
        "put_if_empty": st.tuples(KEYS, PAYLOADS),
        "delete_data": st.tuples(KEYS),
        "incr": st.tuples(KEYS, st.integers(-3, 3)),
        "delete_counter": st.tuples(KEYS),
        **dict.fromkeys(("flush_queue", "flush_schedule", "flush_results", "flush_counters", "flush_all"), st.just(())),
    }
