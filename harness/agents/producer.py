"""`python -m harness.agents.producer ORDERS`: enqueues its share of the workload, at its rate, and ends.

It paces itself by the clock, not by answers: tasks due during an outage are tried then (a caller of one's own
application does not wait either). After an error it pauses a moment, so that an outage does not burn the workload.

One that was killed and started again goes on behind the last task that it had begun to enqueue, by its own logs:
whether that one is in the queue is not for it to say.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.agents.notes import Notes
from harness.agents.numbers import task_id
from harness.agents.setup import Work, make_recorder, open_huey, read_orders, wait_for_go
from harness.history import log

#: What an application's request would take until the next one comes by.
PAUSE_AFTER_ERROR_S = 0.05


def main() -> None:
    """Submit one share."""
    orders = read_orders()
    begun = last_begun(Path(orders["history"]), orders["agent"])
    huey, works, notes = open_huey(orders, make_recorder(orders))
    wait_for_go(orders)
    job = orders["producer"]
    produce(huey, works[job["workload"]], notes, job, begun)


def last_begun(folder: Path, agent: str) -> int:
    """The last task that this agent has ever begun to enqueue or to schedule; NO_TASK = none yet."""
    last = log.NO_TASK
    for path in folder.glob(f"{agent}.*.log"):
        tail = log.LogTail(path)
        puts = (one.task for one in tail.read_new() if one.type == log.INVOKE and one.f in (log.ENQUEUE, log.SCHEDULE))
        last = max(last, *puts, log.NO_TASK)
        tail.close()
    return last


def produce(huey: Any, work: Work, notes: Notes, job: Mapping[str, Any], begun: int = log.NO_TASK) -> None:
    """Submit tasks number `first` to `first + count - 1` of that job, in items of `numbers` tasks each, but for items
    that begin with a task up to `begun`."""
    workload, draw, numbers = work.workload, random.Random(job["seed"]), job["numbers"]
    gap_s = numbers / job["rate"] if job["rate"] else 0.0
    due = time.monotonic()
    for number in range(job["first"], job["first"] + job["count"], numbers):
        item = workload.make(work.tasks, work.params, draw)
        if number <= begun:
            continue  # made all the same: what is drawn for an item does not depend on who was killed when
        for offset, task in enumerate(workload.tasks_of(item)):
            task.id = task_id(number + offset)
        wait_s = due - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        due += gap_s
        try:
            workload.submit(huey, item, notes)
        except Exception as error:
            print(f"task {number}: {type(error).__name__}: {error}", flush=True)
            time.sleep(PAUSE_AFTER_ERROR_S)
    workload.finish()


if __name__ == "__main__":
    main()
