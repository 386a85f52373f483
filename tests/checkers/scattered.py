"""Small histories at random, most of which no queue could have: food for the comparison with the obvious checkers."""

from __future__ import annotations

import random

from harness.history import log
from tests.checkers.scripts import Op


def scattered(rng: random.Random, *, unseen: float = 0.2, requeues: bool = False, tasks: int = 6) -> list[Op]:
    """Up to `tasks` tasks; enqueues and dequeues anywhere in time, overlapping, refused, without an end.

    `unseen`: how many tasks nobody is seen to dequeue. Every operation is by a process of its own.
    """
    span = rng.choice((6, 12, 25))
    priorities = rng.choice(((0,), (0, 1), (0, 1, 2), (0, 1, 2, 3, 4, 5)))
    ops: list[Op] = []

    def interval(earliest: int = 0) -> tuple[int, int]:
        start = rng.randint(earliest, max(span, earliest))
        return start, start + rng.randint(0, rng.choice((1, 4, 10)))

    def add(start: int, end: int | None, f: str, task: int, how: int = log.OK, priority: float = 0.0) -> None:
        ops.append(Op(start, end, f"process-{len(ops)}", f, task, how, priority))

    def open_dequeue(earliest: int) -> int:
        start, end = interval(earliest)
        add(start, end if rng.random() < 0.5 else None, "dequeue", log.NO_TASK, log.INFO)
        return start

    for task in range(rng.randint(1, tasks)):
        start, end = interval()
        priority = rng.choice(priorities)
        kind = rng.random()
        if kind < 0.15:
            add(start, end if rng.random() < 0.5 else None, "enqueue", task, log.INFO, priority)
        elif kind < 0.18:
            add(start, end, "enqueue", task, log.FAIL, priority)
            continue
        else:
            add(start, end, "enqueue", task, log.OK, priority)
        if rng.random() < unseen:
            continue
        first, _ = taken = interval(start if rng.random() < 0.9 else 0)
        add(*taken, "dequeue", task)
        if requeues and rng.random() < 0.3:
            # By whom it was handed back may have got it unseen.
            since = open_dequeue(start) if rng.random() < 0.3 else first
            back, until = interval(since)
            add(back, until, "requeue", task, log.OK if rng.random() < 0.8 else log.INFO)
            if rng.random() < 0.8:
                add(*interval(back), "dequeue", task)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        open_dequeue(0)
    return ops


def handed_back(rng: random.Random, *, tasks: int = 5) -> list[Op]:
    """Two to `tasks` tasks, dequeued up to three times, each time after a requeue by whoever was seen to have it."""
    span = rng.choice((8, 14, 25))
    ops: list[Op] = []

    def add(earliest: int, f: str, task: int, priority: float = 0.0) -> tuple[int, int]:
        start = rng.randint(earliest, max(earliest, span))
        end = start + rng.randint(0, rng.choice((1, 4, 8)))
        ops.append(Op(start, end, f"process-{len(ops)}", f, task, priority=priority))
        return start, end

    for task in range(rng.randint(2, tasks)):
        since, _ = add(0, "enqueue", task, rng.choice((0, 0, 1, 2)))
        for _ in range(3):
            _, end = add(since, "dequeue", task)
            if rng.random() < 0.3:
                break
            since, _ = add(end + 1, "requeue", task)
    return ops


def judged_by_order(ops: list[Op]) -> list[Op]:
    """Without dequeues of what nobody can have put: these are delivery's matter."""
    put = {(op.task, op.entry) for op in ops if op.f == "enqueue" and op.how != log.FAIL}
    return [op for op in ops if (op.f == "dequeue" and op.how == log.INFO) or (op.task, op.entry) in put]
