"""The definition of order itself, tried out: is there any order of the operations that a queue could have had?

Exponential, and obvious: the reference for the quick checker on small histories.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.history import log
from tests.checkers.scripts import Op

_IN, _OUT, _BACK = 0, 1, 2  # in the queue; taken; handed back, where it may be overtaken

#: (entry, priority, where), in the order they were put.
Queue = tuple[tuple[tuple[int, int], float, int], ...]


def linearizable(ops: Sequence[Op], order: str) -> bool:
    """Whether some order of these enqueues, dequeues and requeues respects time and the queue's `order`.

    Two branches are cut off that lead nowhere: one in which an entry is gone that somebody is still to be seen taking,
    and nobody is left to hand it back; and what of the queue can no longer matter is forgotten.
    """
    ops = sorted((op for op in ops if op.how != log.FAIL), key=lambda op: (op.how != log.OK, op.end or 0))
    before = [
        sum(
            1 << j
            for j, other in enumerate(ops)
            if other.end is not None and other.how == log.OK and other.end < op.start
        )
        for op in ops
    ]
    must = sum(1 << i for i, op in enumerate(ops) if op.how == log.OK)
    seen: set[tuple[int, Queue]] = set()
    takes, returns = _mask(ops, "dequeue"), _mask(ops, "requeue")

    def search(done: int, queue: Queue) -> bool:
        if done & must == must:
            return True
        if (done, queue) in seen:
            return False
        seen.add((done, queue))
        for i, op in enumerate(ops):
            if done >> i & 1 or before[i] & ~done:
                continue
            after = done | 1 << i
            for following in _steps(op, queue, order):
                pruned = _pruned(following, after, takes, returns, order)
                if pruned is not None and search(after, pruned):
                    return True
        return False

    return search(0, ())


def _mask(ops: Sequence[Op], f: str) -> dict[tuple[int, int], int]:
    """By entry: which of the operations are those of that kind about it."""
    masks: dict[tuple[int, int], int] = {}
    for i, op in enumerate(ops):
        if op.f == f and op.task != log.NO_TASK:
            masks[op.task, op.entry] = masks.get((op.task, op.entry), 0) | 1 << i
    return masks


def _pruned(
    queue: Queue, done: int, takes: dict[tuple[int, int], int], returns: dict[tuple[int, int], int], order: str
) -> Queue | None:
    """The queue without what is gone for good; None where one of these is still to be taken."""
    kept = []
    for item in queue:
        key, _, where = item
        if where == _OUT and not returns.get(key, 0) & ~done:
            if takes.get(key, 0) & ~done:
                return None
            continue
        kept.append(item)
    return tuple(sorted(kept) if order == "priority" else kept)


def _steps(op: Op, queue: Queue, order: str) -> list[Queue]:
    key = (op.task, op.entry)
    if op.f == "enqueue":
        return [(*queue, (key, op.priority, _IN))]
    if op.f == "requeue":
        return [_with(queue, i, _BACK) for i, (k, _, where) in enumerate(queue) if k == key and where == _OUT]
    return [
        _with(queue, i, _OUT)
        for i, (k, _, where) in enumerate(queue)
        if where != _OUT and (op.how != log.OK or k == key) and _is_next(queue, i, order)
    ]


def _with(queue: Queue, at: int, where: int) -> Queue:
    entry, priority, _ = queue[at]
    return (*queue[:at], (entry, priority, where), *queue[at + 1 :])


def _is_next(queue: Queue, at: int, order: str) -> bool:
    """Nobody who may not be overtaken goes before this one. In `queue`, who was put earlier stands earlier."""
    mine = queue[at][1]
    for i, (_, priority, where) in enumerate(queue):
        if where != _IN or i == at:
            continue
        if order != "fifo" and priority > mine:
            return False
        if i < at and (order == "fifo" or (order == "priority-fifo" and priority == mine)):
            return False
    return True
