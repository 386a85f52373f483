"""A producer that is started again: it goes on behind what it had begun, with the tasks that it would have put."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huey import MemoryHuey

from harness.agents.notes import Notes
from harness.agents.numbers import number_of_id
from harness.agents.producer import last_begun, produce
from harness.agents.setup import Work
from harness.history import log
from harness.history.log import LogWriter
from harness.workloads.plain import Plain

JOB = {"first": 10, "count": 20, "rate": None, "seed": 4, "numbers": 1}


def put_by(begun: int) -> dict[int, Any]:
    """What a producer of that job enqueues, by number."""
    huey = MemoryHuey("chaos")
    workload, notes = Plain(), Notes(None)
    produce(huey, Work(workload, workload.define(huey, notes), {"takes": (0.0, 1.0)}), notes, JOB, begun)
    return {number_of_id(task.id): task.args for task in huey.pending()}


@pytest.mark.parametrize("begun", [log.NO_TASK, 10, 17, 29])
def test_it_goes_on_with_the_tasks_that_it_would_have_put(begun: int) -> None:
    whole = put_by(log.NO_TASK)
    assert sorted(whole) == list(range(10, 30))
    assert put_by(begun) == {number: args for number, args in whole.items() if number > begun}


def test_what_it_had_begun_is_read_from_all_its_logs_and_no_others(tmp_path: Path) -> None:
    for name, agent, tasks in (
        ("producer-1.0.7.1", "producer-1", (3, 4)),
        ("producer-1.1.9.1", "producer-1", (5,)),
        ("producer-10.0.8.1", "producer-10", (90,)),
    ):
        own = LogWriter(tmp_path / f"{name}.log", agent)
        for task in tasks:
            own.write(log.INVOKE, log.ENQUEUE, task)
            own.write(log.OK, log.ENQUEUE, task)
        own.write(log.INVOKE, log.GET_RESULT, 1000)
    assert last_begun(tmp_path, "producer-1") == 5
    assert last_begun(tmp_path, "producer-2") == log.NO_TASK
