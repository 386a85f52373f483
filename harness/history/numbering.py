"""Which entry of a task each operation is about, where its writer could not know.

A storage without acknowledgement hands out payloads that look the same each time that a task is queued: first by its
producer, then by the scheduler when it is due, or by a worker for another try. Its entries are counted here.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict

import numpy as np

from harness.history import log
from harness.history.columns import History, Ints, workers_of
from harness.history.dense import distinct, index_in


def number_entries(history: History) -> History:
    """The same history, with entries counted for tasks that were enqueued several times and whose events tell none.

    An enqueue is a new entry if its worker had the task in hand, by a dequeue or a read_schedule; another one is not
    (two producers of one number remain what they are). Dequeues take entries in the order in which these were put; more
    dequeues than entries take the last one again.
    """
    tasks = _to_number(history)
    if not len(tasks):
        return history
    mine = np.isin(history.task, tasks) & np.isin(history.f, (log.ENQUEUE, log.DEQUEUE))
    popped = (history.f == log.READ_SCHEDULE) & (history.list_len > 0)
    worker_of = {name: number for number, name in enumerate(dict.fromkeys(workers_of(history.processes)))}
    worker = [worker_of[name] for name in workers_of(history.processes)]
    entry = history.entry.copy()
    put: dict[int, int] = defaultdict(int)
    taken: dict[int, int] = defaultdict(int)
    open_: dict[tuple[int, int], int] = {}
    held: set[tuple[int, int]] = set()
    for at in np.flatnonzero(mine | popped).tolist():
        process, task, f = int(history.process[at]), int(history.task[at]), history.f[at]
        if f == log.READ_SCHEDULE:
            held.update((worker[process], one) for one in history.tasks_of(at).tolist())
        elif f == log.DEQUEUE:
            entry[at] = max(0, min(taken[task], put[task] - 1))
            taken[task] += 1
            held.add((worker[process], task))
        elif history.type[at] == log.INVOKE:
            if not put[task] or (worker[process], task) in held:
                put[task] += 1
            entry[at] = open_[process, task] = put[task] - 1
        else:
            entry[at] = open_.get((process, task), 0)
    return dataclasses.replace(history, entry=entry)


def _to_number(history: History) -> Ints:
    """Tasks that were enqueued more than once, and of which no event names an entry or a way back into the queue."""
    puts = (history.f == log.ENQUEUE) & (history.type == log.INVOKE)
    tasks = distinct(history.task[puts])
    times = np.bincount(index_in(tasks, history.task[puts]), minlength=len(tasks))
    told = distinct(history.task[(history.entry != 0) | (history.f == log.REQUEUE)])
    return np.setdiff1d(tasks[times > 1], told)
