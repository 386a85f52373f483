"""add_to_schedule, read_schedule, schedule_size, scheduled_items, flush_schedule.

Times are far ahead: a storage of ours moves what is due into the queue by itself.
"""

from __future__ import annotations

import datetime
from datetime import timedelta
from typing import Any

from .. import clocks
from ..places import Bench
from . import rule
from .queue import PAYLOADS

T = datetime.datetime(2100, 1, 2, 3, 4, 5)
HOUR, SECOND, MICROSECOND = timedelta(hours=1), timedelta(seconds=1), timedelta(microseconds=1)
LATER = T + timedelta(days=30)


def add(storage: Any, *pairs: tuple[bytes, datetime.datetime]) -> None:
    for payload, ts in pairs:
        storage.add_to_schedule(payload, ts)


@rule(expects=[[], 0, [], []])
def schedule_empty(s: Any, _: Bench) -> Any:
    """An empty schedule gives an empty list, and has nothing in it."""
    return [s.read_schedule(T), s.schedule_size(), s.scheduled_items(), s.scheduled_items(3)]


@rule(expects=[[b"a", b"b", b"c"], 3, [b"a"], [b"b", b"c"], [b"b", b"c"], 0])
def schedule_order(s: Any, _: Bench) -> Any:
    """Soonest first. What is due is taken out, by whom it is read first; the rest stays."""
    add(s, (b"c", T + SECOND), (b"a", T - SECOND), (b"b", T))
    return [
        *(s.scheduled_items(), s.schedule_size(), s.read_schedule(T - SECOND)),
        *(s.scheduled_items(), s.read_schedule(T + SECOND), s.schedule_size()),
    ]


@rule(expects=[[], [b"x"], []])
def schedule_due_at_its_second(s: Any, _: Bench) -> Any:
    """Due at its time and after it, not before; given once."""
    add(s, (b"x", T))
    return [s.read_schedule(T - SECOND), s.read_schedule(T), s.read_schedule(T)]


@rule(expects=[[], [b"x"]])
def schedule_due_at_its_microsecond(s: Any, _: Bench) -> Any:
    """A time has microseconds."""
    due = T + 300 * MICROSECOND
    add(s, (b"x", due))
    return [s.read_schedule(due - MICROSECOND), s.read_schedule(due)]


@rule(expects=[b"a", b"b", b"c"], applies=lambda subject: subject.ties != "any")
def schedule_order_by_microseconds(s: Any, _: Bench) -> Any:
    """Also where the order is to be seen."""
    add(s, (b"c", T + 3 * MICROSECOND), (b"a", T + MICROSECOND), (b"b", T + 2 * MICROSECOND))
    return s.scheduled_items()


@rule(expects=[[b"epoch", b"today"], [b"epoch", b"today"]])
def schedule_past(s: Any, _: Bench) -> Any:
    """What is overdue is due: Huey schedules a task without a time for 1970."""
    add(s, (b"today", T), (b"epoch", datetime.datetime.fromtimestamp(0)))
    return [s.scheduled_items(), s.read_schedule(T)]


@rule(expects=[b"1950", b"1960", b"today"])
def schedule_order_before_1970(s: Any, _: Bench) -> Any:
    """Soonest first, also before the epoch."""
    add(s, (b"1960", datetime.datetime(1960, 1, 1)), (b"today", T), (b"1950", datetime.datetime(1950, 1, 1)))
    return s.scheduled_items()


@rule(expects=[2, [b"same", b"same"]])
def schedule_identical(s: Any, _: Bench) -> Any:
    """Two tasks with the same bytes for the same time are two tasks."""
    add(s, (b"same", T), (b"same", T))
    return [s.schedule_size(), s.read_schedule(T)]


@rule(expects=[[b"same"], [b"same"]])
def schedule_identical_at_other_times(s: Any, _: Bench) -> Any:
    """Two tasks with the same bytes for two times are due at both."""
    add(s, (b"same", T), (b"same", T + HOUR))
    return [s.read_schedule(T), s.read_schedule(T + HOUR)]


@rule(expects=lambda subject: [b"z", b"y"] if subject.ties == "came" else [b"y", b"z"])
def schedule_same_time(s: Any, bench: Bench) -> Any:
    """Tasks for the same time are all there, in the order that the subject says."""
    add(s, (b"z", T), (b"y", T))
    items = s.scheduled_items()
    assert items == s.read_schedule(T)
    return sorted(items) if bench.subject.ties == "any" else items


@rule(expects=[True, True])
def schedule_payloads(s: Any, _: Bench) -> Any:
    """A payload is bytes, any and however many."""
    add(s, *((payload, T + n * SECOND) for n, payload in enumerate(PAYLOADS)))
    items, out = s.scheduled_items(), s.read_schedule(LATER)
    return [items == out == list(PAYLOADS), all(type(one) is bytes for one in (*items, *out))]


@rule(expects=[[b"a"], [b"a", b"b"], [b"a", b"b"], 2])
def schedule_limit(s: Any, _: Bench) -> Any:
    """A limit leaves the soonest."""
    add(s, (b"b", T + SECOND), (b"a", T))
    return [s.scheduled_items(limit) for limit in (1, 2, 9)] + [s.schedule_size()]


@rule(expects=[])
def schedule_limit_0(s: Any, _: Bench) -> Any:
    """A limit of 0 leaves none."""
    add(s, (b"a", T))
    return s.scheduled_items(0)


@rule(expects=[[], [b"x"]])
def schedule_in_a_zone(s: Any, _: Bench) -> Any:
    """Huey hands in UTC without a zone; wherever the machine is, a time is due when UTC is there."""
    with clocks.zone("Asia/Kolkata"):
        add(s, (b"x", T))
        return [s.read_schedule(T - SECOND), s.read_schedule(T)]


@rule(expects=[[b"02:30"], []])
def schedule_in_the_hour_that_summer_time_skips(s: Any, _: Bench) -> Any:
    """UTC has every hour once, also the one that the machine's zone skips: nothing is late there, or early."""
    with clocks.zone("Europe/Berlin"):
        skipped = datetime.datetime(2100, 3, 28, 2, 30)
        add(s, (b"02:30", skipped))
        found = [s.read_schedule(skipped + timedelta(minutes=35))]
        s.flush_schedule()
        add(s, (b"03:10", skipped + timedelta(minutes=40)))
        return [*found, s.read_schedule(skipped + timedelta(minutes=5))]


@rule(expects=[[], [b"02:40"]])
def schedule_in_the_hour_that_winter_time_repeats(s: Any, _: Bench) -> Any:
    """Nor does it matter what was scheduled in between, for the other half of the year."""
    with clocks.zone("Europe/Berlin"):
        twice = datetime.datetime(2100, 10, 31, 2, 40)
        add(s, (b"summer", twice + timedelta(days=250)), (b"02:40", twice), (b"winter", twice + timedelta(days=60)))
        found = [s.read_schedule(twice - timedelta(minutes=30))]
        add(s, (b"summer too", twice + timedelta(days=251)))
        return [*found, s.read_schedule(twice)]


@rule(expects=[0, [], [b"after"]])
def schedule_flush(s: Any, _: Bench) -> Any:
    """Flushed is empty, and goes on as before."""
    add(s, (b"a", T), (b"b", T + SECOND))
    s.flush_schedule()
    found = [s.schedule_size(), s.read_schedule(LATER)]
    add(s, (b"after", T))
    return [*found, s.read_schedule(T)]


@rule(expects=[1, [b"a"], [], 0])
def schedule_of_two_clients(s: Any, bench: Bench) -> Any:
    """Clients of one queue see one schedule, and what is due goes to one of them."""
    other = bench.open()
    add(s, (b"a", T))
    return [other.schedule_size(), other.read_schedule(T), s.read_schedule(T), s.schedule_size()]
