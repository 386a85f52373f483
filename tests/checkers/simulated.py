"""Histories of a queue that works, with overlapping operations; and what becomes of them when it does not."""

from __future__ import annotations

import random

from harness.history import log
from tests.checkers.scripts import Op

#: Nanoseconds between two effects on the queue.
STEP = 10


def simulated(
    rng: random.Random,
    tasks: int,
    order: str = "priority-fifo",
    *,
    workers: int = 4,
    backlog: int = 20,
    priorities: tuple[int, ...] | None = None,
) -> list[Op]:
    """`tasks` tasks through a queue, each dequeued, executed and completed, then a drain that finds nothing.

    Every operation has its effect at a moment of its own, and lasts from some time before to some time after it, as
    far as its process is free.
    """
    priorities = priorities or rng.choice(((0,), (0, 1, 5, 10), tuple(range(50))))
    ops: list[Op] = []
    queue: list[tuple[float, int, int]] = []
    free_at: dict[str, int] = {}
    at = put = done = 0

    def span(process: str) -> tuple[int, int]:
        start = max(free_at.get(process, 0), at - rng.randint(0, 4 * STEP))
        return start, at + rng.randint(0, 4 * STEP)

    def rank(item: tuple[float, int, int]) -> tuple[float, float]:
        priority, number, _ = item
        if order == "fifo":
            return 0, number
        return -priority, number if order == "priority-fifo" else rng.random()

    while done < tasks:
        at += STEP
        if put < tasks and (not queue or (len(queue) < backlog and rng.random() < 0.55)):
            process = f"producer-{rng.randrange(3)}"
            if free_at.get(process, 0) > at:
                continue
            start, end = span(process)
            priority = float(rng.choice(priorities))
            ops.append(Op(start, end, process, "enqueue", put, priority=priority))
            queue.append((priority, put, put))
            free_at[process] = end
            put += 1
        elif queue:
            process = f"consumer-{rng.randrange(2)}/w{rng.randrange(workers)}"
            if free_at.get(process, 0) > at:
                continue
            start, end = span(process)
            item = min(queue, key=rank)
            queue.remove(item)
            task = item[2]
            ops.append(Op(start, end, process, "dequeue", task))
            ops.append(Op(end, end + STEP, process, "execute", task))
            ops.append(Op(end + STEP, end + STEP + 1, process, "complete", task))
            free_at[process] = end + STEP + 1
            done += 1
    over = max((op.end for op in ops if op.end is not None), default=0) + 1
    ops.append(Op(over, over + 1, "drain", "drain"))
    return ops


def lost(ops: list[Op], task: int) -> list[Op]:
    """As if the queue had dropped the task."""
    return [op for op in ops if op.f == "enqueue" or op.task != task]


def doubled(ops: list[Op], task: int) -> list[Op]:
    """As if the queue had given the task to one more worker, after all else."""
    over = max(op.end for op in ops if op.end is not None and op.f != "drain")
    again = [Op(over, over, "consumer-9/w1", f, task) for f in ("dequeue", "execute", "complete")]
    return [*(op for op in ops if op.f != "drain"), *again, Op(over + 1, over + 2, "drain", "drain")]


def swapped(ops: list[Op], one: int, other: int) -> list[Op]:
    """As if each of two tasks had been given out in the other's place."""
    change = {one: other, other: one}
    return [
        op if op.f == "enqueue" or op.task == log.NO_TASK else Op(**{**vars(op), "task": change.get(op.task, op.task)})
        for op in ops
    ]


def invented(ops: list[Op], task: int) -> list[Op]:
    """As if nobody had enqueued the task."""
    return [op for op in ops if op.f != "enqueue" or op.task != task]
