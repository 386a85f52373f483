"""enqueue, dequeue, queue_size, enqueued_items, flush_queue."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from .. import clocks
from ..places import Bench
from ..subjects import READ_TIMEOUT_S, Subject
from . import attempt, drained, rule

PAYLOADS = (b"", b"\0", bytes(range(256)), b"\r\n$5\r\n", "ключ 🔑".encode(), b"x" * (1 << 20))
NOW = 1_800_000_000.0


def takes_priorities(subject: Subject) -> bool:
    return subject.priorities != "none"


def takes_any_number(subject: Subject) -> bool:
    return subject.priorities == "any"


def waits(subject: Subject) -> bool:
    return (subject.on_redis and subject.kwargs.get("blocking", True)) or listens(subject)


def listens(subject: Subject) -> bool:
    """PostgreSQL tells who waits, on a connection of each thread's own."""
    return subject.place == "postgres" and subject.kwargs.get("blocking", True)


def put(storage: Any, *pairs: tuple[bytes, float | None]) -> None:
    for payload, priority in pairs:
        storage.enqueue(payload, priority)


@rule(expects=[None, 0, [], [], None])
def queue_empty(s: Any, _: Bench) -> Any:
    """An empty queue gives None, and has nothing in it."""
    return [s.dequeue(), s.queue_size(), s.enqueued_items(), s.enqueued_items(3), s.flush_queue()]


@rule(expects=[[b"%d" % n for n in range(20)], [b"%d" % n for n in range(20)], list(range(20, -1, -1))])
def queue_fifo(s: Any, _: Bench) -> Any:
    """What was enqueued first comes out first, and the looking at it moves nothing."""
    for n in range(20):
        s.enqueue(b"%d" % n)
    items, sizes, out = s.enqueued_items(), [s.queue_size()], []
    for _n in range(20):
        out.append(s.dequeue())
        sizes.append(s.queue_size())
    return [items, out, sizes]


@rule(expects=[[b"z", b"y"], [b"z", b"y"]])
def queue_fifo_in_one_tick(s: Any, _: Bench) -> Any:
    """Order does not depend on the resolution of the producer's clock."""
    with clocks.readings(NOW):
        put(s, (b"z", None), (b"y", None))
        return [s.enqueued_items(), drained(s)]


@rule(expects=[b"a", b"b", b"c"])
def queue_fifo_around_a_dequeue_in_one_tick(s: Any, _: Bench) -> Any:
    """Nor does it when something is taken out in the same tick."""
    with clocks.readings(NOW):
        put(s, (b"a", None), (b"b", None))
        first = s.dequeue()
        s.enqueue(b"c")
        return [first, *drained(s)]


@rule(expects=[b"first", b"second"])
def queue_fifo_when_the_clock_steps_back(s: Any, _: Bench) -> Any:
    """What was enqueued first comes out first, whatever the producer's wall clock does."""
    with clocks.readings(NOW, NOW - 1):
        put(s, (b"first", None), (b"second", None))
        return drained(s)


@rule(expects=[3, [b"same"] * 3])
def queue_identical(s: Any, _: Bench) -> Any:
    """Two tasks with the same bytes are two tasks."""
    put(s, (b"same", None), (b"same", None), (b"same", None))
    return [s.queue_size(), drained(s)]


@rule(expects=[2, [b"same"] * 2])
def queue_identical_in_one_tick(s: Any, _: Bench) -> Any:
    """Also where both were enqueued in the same tick of the clock."""
    with clocks.readings(NOW):
        put(s, (b"same", None), (b"same", None))
        return [s.queue_size(), drained(s)]


@rule(expects=[True, True, True])
def queue_payloads(s: Any, _: Bench) -> Any:
    """A payload is bytes, any and however many."""
    with clocks.ticking():
        put(s, *((payload, None) for payload in PAYLOADS))
    items = s.enqueued_items()
    out = [s.dequeue() for _ in PAYLOADS]
    return [items == list(PAYLOADS), out == list(PAYLOADS), all(type(one) is bytes for one in (*items, *out))]


@rule(expects=[[b"0"], [b"0", b"1"], [b"0", b"1", b"2"], [b"0", b"1", b"2"], 3])
def queue_limit(s: Any, _: Bench) -> Any:
    """A limit leaves the tasks that are next; one that is larger than the queue does nothing."""
    with clocks.ticking():
        put(s, *((b"%d" % n, None) for n in range(3)))
    return [s.enqueued_items(limit) for limit in (1, 2, 3, 9)] + [s.queue_size()]


@rule(expects=[])
def queue_limit_0(s: Any, _: Bench) -> Any:
    """A limit of 0 leaves none."""
    s.enqueue(b"one")
    return s.enqueued_items(0)


@rule(expects=[[b"9", b"5", b"1", b"0", b"none"], [b"9", b"5", b"1", b"0", b"none"]], applies=takes_priorities)
def queue_priority(s: Any, _: Bench) -> Any:
    """Larger priorities first; none at all is 0; equal ones in the order in which they came."""
    with clocks.ticking():
        put(s, (b"0", 0), (b"5", 5), (b"none", None), (b"1", 1), (b"9", 9))
    return [s.enqueued_items(), drained(s)]


@rule(expects=["raised NotImplementedError", "raised NotImplementedError", None, [b"0"]],
      applies=lambda subject: not takes_priorities(subject))  # fmt: skip
def queue_priority_refused(s: Any, _: Bench) -> Any:
    """A storage without priorities refuses them, and stores nothing of what it refused."""
    return [attempt(s.enqueue, b"5", 5), attempt(s.enqueue, b"-5", -5), s.enqueue(b"0", 0), drained(s)]


@rule(expects=[b"1", b"0", b"-1", b"-2"], applies=takes_priorities)
def queue_priority_negative(s: Any, _: Bench) -> Any:
    """Priorities below 0 come after those that name none."""
    put(s, (b"-2", -2), (b"1", 1), (b"-1", -1), (b"0", None))
    return drained(s)


@rule(expects=[b"0.75", b"0.5", b"0.25", b"0"], applies=takes_priorities)
def queue_priority_fractions(s: Any, _: Bench) -> Any:
    """A priority is a float."""
    with clocks.ticking():
        put(s, (b"0.25", 0.25), (b"0", 0), (b"0.75", 0.75), (b"0.5", 0.5))
    return drained(s)


@rule(expects=[b"inf", b"1e300", b"2**70", b"1", b"-inf"], applies=takes_any_number)
def queue_priority_huge(s: Any, _: Bench) -> Any:
    """A priority is as large as a float can be."""
    put(s, (b"1", 1), (b"1e300", 1e300), (b"-inf", -math.inf), (b"inf", math.inf), (b"2**70", float(1 << 70)))
    return drained(s)


@rule(expects=[b"2**70", b"1"], applies=takes_any_number)
def queue_priority_huge_int(s: Any, _: Bench) -> Any:
    """Where a float is taken, so is a whole number."""
    put(s, (b"1", 1), (b"2**70", 1 << 70))
    return drained(s)


@rule(expects=[True, [b"3", b"2", b"1"]], applies=takes_any_number)
def queue_priority_nan(s: Any, _: Bench) -> Any:
    """What has no place in an order is refused, and does the order of the others no harm."""
    put(s, (b"1", 1))
    refused = str(attempt(s.enqueue, b"nan", math.nan)).startswith("raised")
    put(s, (b"3", 3), (b"2", 2))
    return [refused, drained(s)]


@rule(expects=["raised ValueError", "raised ValueError", 0], applies=lambda subject: subject.priorities == "whole")
def queue_priority_out_of_range(s: Any, _: Bench) -> Any:
    """A storage with a range of priorities refuses the others, and stores nothing of what it refused."""
    return [attempt(s.enqueue, b"a", 1 << 16), attempt(s.enqueue, b"b", math.nan), s.queue_size()]


@rule(expects=[0, None, [], [b"after"]])
def queue_flush(s: Any, _: Bench) -> Any:
    """Flushed is empty, and goes on as before."""
    put(s, (b"a", None), (b"b", None))
    s.flush_queue()
    found = [s.queue_size(), s.dequeue(), s.enqueued_items()]
    s.enqueue(b"after")
    return [*found, drained(s)]


@rule(expects=[None, True], applies=waits)
def queue_empty_waits(s: Any, _: Bench) -> Any:
    """A blocking storage waits for read_timeout before it calls the queue empty."""
    begun = time.monotonic()
    return [s.dequeue(), time.monotonic() - begun > 0.9 * READ_TIMEOUT_S]


@rule(expects=[b"late"], applies=lambda subject: waits(subject) and not subject.notifies)
def queue_wakes_who_waits(s: Any, bench: Bench) -> Any:
    """A blocking storage gives what somebody else enqueues while it waits."""
    waiting: Any = bench.open()
    found: list[Any] = []
    has_waited = threading.Event()

    def wait() -> None:
        # What becomes of the first time, between-a-look-and-the-wait says.
        waiting.dequeue()
        waiting.read_timeout = 3  # less than any socket's time-out here
        has_waited.set()
        found.append(waiting.dequeue())

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert has_waited.wait(15), "not within 15 s: the end of an idle blocking read"
    s.enqueue(b"late")
    thread.join(15)
    return found


@rule(expects=[[b"a", b"b"], b"a", 1, b"b", None])
def queue_of_two_clients(s: Any, bench: Bench) -> Any:
    """Clients of one queue see one queue."""
    other = bench.open()
    with clocks.ticking():
        s.enqueue(b"a")
        other.enqueue(b"b")
    return [other.enqueued_items(), other.dequeue(), s.queue_size(), s.dequeue(), other.dequeue()]
