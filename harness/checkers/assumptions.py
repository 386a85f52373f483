"""Assumptions: what the other checkers rely on. Where it does not hold, nothing is proven, and nobody is accused."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.drains import last_drain
from harness.checkers.operations import NOWHERE, Operations, pair
from harness.history import log
from harness.history.columns import Bools, History, Ints
from harness.verdict import CheckResult, Validity

#: What puts, takes or does tasks.
_WORK = (log.ENQUEUE, log.SCHEDULE, log.READ_SCHEDULE, log.DEQUEUE, log.REQUEUE, log.EXECUTE, log.COMPLETE)
_NAMES_TASK = (log.ENQUEUE, log.SCHEDULE, log.REQUEUE, log.EXECUTE, log.COMPLETE)


@CHECKERS.register("assumptions")
def check(history: History, context: Context) -> CheckResult:
    """What every other check relies on: a whole record, unique numbers, an end after the work.

    - The storage implements what the run needed, and nothing kept it from being carried out whole; the recorder dropped
      nothing, and its logs could be read.
    - Where bodies of tasks are recorded, some were run, if tasks were taken from the queue.
    - Events are in the order of time.
    - A process has one operation open at a time (`execute` apart, which encloses others), and ends what it invoked.
    - An operation about a task names it.
    - An entry is enqueued by one worker, who repeats that only while the outcome is open; always with one priority.
      What was handed back for later is put in again by the server, when that has come.
    - After the last drain nobody puts, takes or does anything.
    """
    ops = pair(history)
    reasons = (
        *context.lacks,
        *context.troubles,
        *_of_the_record(history, ops),
        *_of_bodies(ops, context),
        *_of_entries(history, ops),
        *_of_the_end(history, ops),
    )
    return CheckResult("assumptions", Validity.UNKNOWN if reasons else Validity.VALID, {}, (), reasons)


def _of_the_record(history: History, ops: Operations) -> Iterator[str]:
    if history.dropped:
        yield f"the recorder dropped {history.dropped:,} records (disk or log full)"
    yield from history.warnings
    backwards = np.flatnonzero(np.diff(history.time) < 0)
    if len(backwards):
        yield f"event {int(backwards[0]) + 1} lies before the one above it"
    if len(ops.doubled):
        yield f"{_who(history, ops.doubled)} invokes {_what(history, ops.doubled)} while it has another operation open"
    if len(ops.orphaned):
        yield f"{_who(history, ops.orphaned)} ends {_what(history, ops.orphaned)}, which it has not invoked"
    nameless = np.flatnonzero(
        (ops.task < 0) & (np.isin(ops.f, _NAMES_TASK) | ((ops.f == log.DEQUEUE) & (ops.how == log.OK)))
    )
    if len(nameless):
        at = ops.invoke[nameless]
        yield f"{_who(history, at)} does not say which task its {_what(history, at)} is about"


def _who(history: History, events: Ints) -> str:
    """The process of the first of these events, and how many there are."""
    more = f" (and {len(events) - 1:,} more times)" if len(events) > 1 else ""
    return f"event {int(events[0])}{more}: {history.processes[history.process[events[0]]]}"


def _what(history: History, events: Ints) -> str:
    return history.f_names[int(history.f[events[0]])]


def _of_bodies(ops: Operations, context: Context) -> Iterator[str]:
    """Consumers that take tasks and run none have not shown that these are done."""
    taken = int(((ops.f == log.DEQUEUE) & (ops.how == log.OK)).sum())
    if context.records_bodies and taken and not np.isin(ops.f, (log.EXECUTE, log.COMPLETE)).any():
        yield f"{taken:,} tasks were taken from the queue, and no consumer began, or completed, any"


def _of_entries(history: History, ops: Operations) -> Iterator[str]:
    rows = ops.rows(log.ENQUEUE)
    rows = rows[ops.how[rows] != log.FAIL]
    rows = rows[~_put_in_again(ops, rows)]
    rows = rows[np.lexsort((rows, ops.entry[rows], ops.task[rows]))]
    before, after = rows[:-1], rows[1:]
    same = (ops.task[before] == ops.task[after]) & (ops.entry[before] == ops.entry[after])
    faults = (
        ("by two workers", ops.worker[before] != ops.worker[after]),
        ("again after that had returned", ops.how[before] == log.OK),
        ("with two priorities", ops.priority[before] != ops.priority[after]),
    )
    for how, wrong in faults:
        found = after[same & wrong]
        if len(found):
            task, entry = int(ops.task[found[0]]), int(ops.entry[found[0]])
            number = f"{len(found):,} entries, among them" if len(found) > 1 else "an entry,"
            yield f"{number} task {task} (entry {entry}), enqueued {how}: numbers are not unique"


def _put_in_again(ops: Operations, enqueues: Ints) -> Bools:
    """Which of these the server did with an entry that had been handed back to it."""
    by_server = np.array([name.endswith("/server") for name in ops.workers], dtype=np.bool_)
    backs = ops.rows(log.REQUEUE, log.OK, log.INFO)
    first_ns: dict[tuple[int, int], int] = {}
    for task, entry, start_ns in zip(
        ops.task[backs].tolist(), ops.entry[backs].tolist(), ops.start_ns[backs].tolist(), strict=True
    ):
        first_ns.setdefault((task, entry), start_ns)  # rows are in the order of their starts
    again = np.zeros(len(enqueues), dtype=np.bool_)
    if first_ns:
        for at in np.flatnonzero(by_server[ops.worker[enqueues]]).tolist():
            row = int(enqueues[at])
            back_ns = first_ns.get((int(ops.task[row]), int(ops.entry[row])))
            again[at] = back_ns is not None and back_ns <= int(ops.end_ns[row])
    return again


def _of_the_end(history: History, ops: Operations) -> Iterator[str]:
    drain = last_drain(history, ops)
    if drain is None:
        return  # delivery says so
    after = np.isin(ops.f, _WORK) & (ops.start_ns > ops.end_ns[drain.row])
    # Consumers may go on asking; what they get would be something.
    asked = (ops.f == log.DEQUEUE) | (ops.f == log.READ_SCHEDULE)
    got = (ops.how == log.OK) & ((ops.f == log.DEQUEUE) | _listed(history, ops))
    late = np.flatnonzero(after & (~asked | got))
    if len(late):
        row = int(late[0])
        yield (
            f"the history goes on after its drain ended: {len(late):,} operations, "
            f"the first is the {_what(history, ops.invoke[late])} of {ops.by(row)} (event {int(ops.invoke[row])})"
        )


def _listed(history: History, ops: Operations) -> Bools:
    """Whether the end of each operation lists any tasks."""
    listed: Bools = (ops.end != NOWHERE) & (history.list_len[ops.end] > 0)
    return listed
