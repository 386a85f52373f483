"""What a storage of one's own does not implement is not asked of it, or is the reason why nothing is known."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Any

import pytest
from huey.api import Huey

from harness.agents.drain import TakingOutFailed, look
from harness.agents.lacking import PREFIX, note_lacking
from harness.agents.numbers import task_id
from harness.applies import why_not
from harness.backends.lacks import why_unknown
from harness.backends.own import resolve
from harness.scenario_file import find_scenarios, load
from tests.e2e.job import run_job
from tests.own import lacking

SCENARIOS = {path.stem: load(path)[0] for path in find_scenarios(None)}


def own(name: str) -> str:
    return f"tests.own.lacking:{name}"


def test_what_a_class_leaves_out_is_known_before() -> None:
    alone = resolve(own("QueueAlone"))
    assert (alone.order, alone.capabilities, alone.unfit) == ("fifo", frozenset(), "")
    assert why_not(SCENARIOS["worker-crash"], alone) is None
    assert "needs priority" in str(why_not(SCENARIOS["priority-backlog"], alone))
    assert "needs schedule" in str(why_not(SCENARIOS["scheduler-crash"], alone))
    assert "needs results" in str(why_not(SCENARIOS["results"], alone))
    none = resolve(own("NoResults"))
    assert {why_not(scenario, none) for scenario in SCENARIOS.values()} == {none.unfit}
    assert "Huey asks peek_data" in none.unfit
    assert resolve(own("Silent")).order == "fifo"


def opened(storage: type, tmp_path: Path) -> Any:
    return Huey("q", storage_class=storage, path=str(tmp_path))


def filled(storage: type, tmp_path: Path) -> Any:
    huey = opened(storage, tmp_path)

    @huey.task(name="work")  # type: ignore[untyped-decorator]
    def work() -> None:
        pass

    for number in range(3):
        task = work.s()
        task.id = task_id(number)
        huey.enqueue(task)
    return huey, work


@pytest.mark.parametrize("storage", [lacking.QueueAlone, lacking.NoLists])
def test_what_cannot_be_listed_is_taken_out(tmp_path: Path, storage: type) -> None:
    huey, work = filled(storage, tmp_path)
    held = [0, 1, 2]
    if storage is lacking.NoLists:
        task = work.s()
        task.id, task.eta = task_id(7), datetime.datetime.now() + datetime.timedelta(hours=1)
        huey.add_schedule(task)
        held.append(7)
    assert look(huey, time.monotonic() + 5).held == tuple(held)
    assert look(huey, time.monotonic() + 5).held == ()


def test_who_cannot_take_it_all_out_does_not_know_what_was_left(tmp_path: Path) -> None:
    huey, _ = filled(lacking.QueueAlone, tmp_path)
    with pytest.raises(TakingOutFailed, match="not empty after 0 tasks"):
        look(huey, time.monotonic())

    def broken() -> bytes:
        raise OSError("the disk is gone")

    huey.storage.dequeue = broken
    with pytest.raises(TakingOutFailed, match="the disk is gone"):
        look(huey, time.monotonic() + 5)


def test_what_turns_out_not_to_be_implemented_is_noted(tmp_path: Path) -> None:
    huey = opened(lacking.SaysNothing, tmp_path)
    note_lacking(huey.storage, tmp_path)
    storage = huey.storage
    storage.enqueue(b"task")
    for call in (lambda: storage.enqueue(b"task", 5), lambda: storage.peek_many(["key"])):
        with pytest.raises(NotImplementedError):
            call()
    assert {path.name for path in tmp_path.glob(f"{PREFIX}*")} >= {f"{PREFIX}priority", f"{PREFIX}peek_data"}
    assert storage.dequeue() == b"task"


@pytest.mark.parametrize(
    ("lacking", "requires", "words"),
    [
        ({"peek_many"}, set(), ["Huey asks peek_data"]),
        ({"read_schedule"}, set(), []),
        ({"read_schedule", "add_to_schedule"}, {"schedule"}, ["add_to_schedule and read_schedule of mine"]),
        ({"put_data"}, {"schedule"}, []),
        ({"put_data"}, {"results"}, ["put_data of mine is not implemented"]),
        ({"priority"}, {"priority"}, ["let the class say priority = False"]),
        ({"priority"}, {"schedule"}, []),
    ],
)
def test_only_what_the_workload_needed_is_a_reason(lacking: set[str], requires: set[str], words: list[str]) -> None:
    reasons = why_unknown(lacking, requires, "mine")
    assert len(reasons) == len(words)
    assert all(word in reason for word, reason in zip(words, reasons, strict=True))


@pytest.mark.cluster
@pytest.mark.world
@pytest.mark.parametrize(
    ("storage", "scenario", "validity", "reason"),
    [
        ("QueueAlone", "steady", "valid", ""),
        # Its tasks are lost, every one of them: by Huey, which cannot run any.
        ("SaysNothing", "steady", "unknown", "Huey asks peek_data"),
    ],
)
def test_a_run_says_what_is_lacking(tmp_path: Path, storage: str, scenario: str, validity: str, reason: str) -> None:
    job = run_job(
        tmp_path,
        f"--huey-backend={own(storage)}",
        f"--huey-scenario={scenario}",
        "--huey-scale=0.1",
        "--huey-runtime=local",
        "--huey-seed=7",
    )
    (verdict,) = job.verdicts().values()
    assert verdict["validity"] == validity, job.output
    assert reason in " ".join(verdict["reasons"])
    assert "Traceback" not in job.output
