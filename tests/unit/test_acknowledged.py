"""What is recorded of a storage with acknowledgement: every kind of step, answer and error."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from huey.api import Huey, MemoryHuey
from huey.storage import MemoryStorage
from redis import exceptions

from harness.agents import errors
from harness.agents.drain import drain
from harness.agents.logs import Recorder
from harness.agents.numbers import entry_number, number_of_entry, number_of_id, task_id
from harness.agents.recorder import record
from harness.checkers import Context
from harness.checkers.judge import judge
from harness.history import log
from harness.history.columns import History, workers_of
from harness.history.jsonl import read_jsonl, write_jsonl
from harness.history.merge import read_run
from harness.storages.reliable.steps import Answer, Back, Delivery, Member, Put, Settle, Step
from harness.verdict import Validity

CLAIM, OTHER_CLAIM = b"c" * 16, b"d" * 16


class OutcomeUnknown(exceptions.ConnectionError):
    """As the storage's own: known by its name."""


class Played(MemoryStorage):
    """Answers what it is told to, or raises it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answers: list[Answer | BaseException] = []
        self.left: dict[str, list[bytes]] = {"queued": [], "scheduled": [], "leased": []}
        self.done: list[bytes] = []
        self.lose_attempts = 0

    def perform(self, step: Step) -> Answer:
        errors.attempts.unanswered += self.lose_attempts
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def held(self) -> dict[str, list[bytes]]:
        return self.left

    def done_entries(self) -> list[bytes]:
        return self.done


class Stage:
    """A recorded instance, whose storage answers as it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.huey: Any = Huey("q", storage_class=Played)
        self.storage: Played = self.huey.storage
        self.recorder = Recorder(folder, "consumer-0", 0)
        record(self.huey, self.recorder)

    def play(self, step: Step, answer: Answer | BaseException) -> None:
        """One step, on this thread."""
        self.storage.answers.append(answer)
        if isinstance(answer, BaseException):
            with pytest.raises(type(answer)):
                self.storage.perform(step)
        else:
            assert self.storage.perform(step) is answer

    def history(self) -> History:
        """What was recorded. It is fit to be judged, and the same when it is exported and read back."""
        history = read_run(self.folder)
        assert not history.warnings
        verdict = judge(history, Context(), only=["assumptions"])
        assert not verdict.reasons
        write_jsonl(history, self.folder / "history.jsonl")
        read_back = read_jsonl(self.folder / "history.jsonl")
        assert read_back.entry.tolist() == history.entry.tolist()
        return history

    def told(self) -> list[str]:
        """What was recorded, a line an operation: `w/next dequeue 3 ok`."""
        return told(self.history())


def told(history: History) -> list[str]:
    lines = []
    opened: dict[tuple[int, int], int] = {}
    for i in range(len(history)):
        key = int(history.process[i]), int(history.f[i])
        if history.type[i] == log.INVOKE:
            opened[key] = len(lines)
            lines.append("no end")
        task = int(history.task[i])
        name = history.processes[key[0]].removeprefix("consumer-0").removeprefix("/")
        outcome = log.OUTCOMES[history.outcome[i]] if history.outcome[i] else ""
        words = [name or ".", history.f_names[key[1]], str(task) if task >= 0 else "", outcome]
        lines[opened[key]] = " ".join(filter(None, [*words, log.TYPES[history.type[i]].replace("invoke", "no end")]))
    return lines


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    # Whoever else watches connections in this process: what is certain is not this test's matter.
    monkeypatch.setattr(errors, "watched", {"redis"})
    return Stage(tmp_path)


def entry(number: int, token: int = 0) -> bytes:
    return bytes([number % 256, token]) * 6 + task_id(number).encode()


def put(number: int, **fields: Any) -> Put:
    return Put(entry(number), b"payload " + task_id(number).encode(), **fields)


def delivery(number: int, count: int = 1, claim: bytes = CLAIM) -> Delivery:
    return Delivery(entry(number), claim, b"payload " + task_id(number).encode(), count, 7)


# ---------------------------------------------------------------- single steps


@pytest.mark.parametrize(
    ("step", "answer", "lines"),
    [
        (Step(put=put(1)), Answer(), [". enqueue 1 ok"]),
        (Step(put=put(1, once=b"k")), Answer(dropped=True), [". enqueue 1 fail"]),
        (Step(put=put(1)), OutcomeUnknown("READONLY was the last of it"), [". enqueue 1 info"]),
        (Step(put=put(1)), exceptions.ReadOnlyError("READONLY"), [". enqueue 1 fail"]),
        (Step(put=put(1)), KeyboardInterrupt(), [". enqueue 1 info"]),
        (Step(put=put(1, eta_ms=5)), Answer(), [". schedule 1 ok"]),
        (Step(claim=CLAIM), Answer(delivery=delivery(2)), ["next dequeue 2 ok"]),
        (Step(claim=CLAIM), Answer(next_ms=3), ["next dequeue fail"]),
        (Step(claim=CLAIM), exceptions.ReadOnlyError("READONLY"), ["next dequeue fail"]),
        (Step(claim=CLAIM), OutcomeUnknown("?"), ["next dequeue no end"]),
        (Step(settle=Settle(delivery(3), "done")), Answer("ok"), [". complete 3 ok"]),
        (Step(settle=Settle(delivery(3), "revoked")), Answer("ok"), [". complete 3 revoked ok"]),
        (Step(settle=Settle(delivery(3), "dead")), Answer("ok"), [". complete 3 dead ok"]),
        (Step(settle=Settle(delivery(3), "done")), Answer("refused"), [". complete 3 fail"]),
        (Step(settle=Settle(delivery(3), "done")), Answer("?"), [". complete 3 info"]),
        (Step(settle=Settle(delivery(3), "done")), OutcomeUnknown("?"), [". complete 3 info"]),
        (Step(settle=Settle(delivery(3), "done")), exceptions.ReadOnlyError("READONLY"), [". complete 3 fail"]),
        (Step(back=(Back(delivery(4)),)), Answer(handed=(True,)), [". requeue 4 ok"]),
        (Step(back=(Back(delivery(4)),)), Answer(handed=(False,)), [". requeue 4 fail"]),
        (Step(back=(Back(delivery(4)),)), OutcomeUnknown("?"), [". requeue 4 info"]),
        (Step(move=True), Answer(), [". read_schedule ok"]),
        (Step(move=True), OutcomeUnknown("?"), [". read_schedule info"]),
    ],
)
def test_a_step_of_one_thing(stage: Stage, step: Step, answer: Answer | BaseException, lines: list[str]) -> None:
    stage.play(step, answer)
    assert stage.told() == lines


def test_an_eta_is_on_the_recorders_clock(stage: Stage) -> None:
    before_ns = time.monotonic_ns()
    stage.play(Step(put=put(1, eta_ms=int(time.time() * 1000) + 60_000, priority=3)), Answer())
    history = stage.history()
    assert abs(int(history.eta[0]) - before_ns - 60_000_000_000) < 1_000_000_000
    assert history.priority[0] == 3


def test_an_empty_answer_after_an_attempt_without_one_is_open(stage: Stage) -> None:
    # That attempt may still reach the server, and lease something.
    stage.storage.lose_attempts = 1
    stage.play(Step(claim=CLAIM), Answer())
    assert stage.told() == ["next dequeue info"]


def test_a_refusal_is_certain_whatever_became_of_earlier_attempts(stage: Stage) -> None:
    stage.storage.lose_attempts = 1
    stage.play(Step(settle=Settle(delivery(3), "done")), Answer("refused"))
    assert stage.told() == [". complete 3 fail"]


# ---------------------------------------------------------------- steps of several things


def test_the_end_of_one_task_and_the_lease_of_the_next_are_open_at_once(stage: Stage) -> None:
    stage.play(Step(settle=Settle(delivery(1), "done"), claim=CLAIM), Answer("ok", delivery(2, count=3)))
    history = stage.history()
    assert told(history) == [". complete 1 ok", "next dequeue 2 ok"]
    assert [log.TYPES[one] for one in history.type] == ["invoke", "invoke", "ok", "ok"]
    assert history.value.tolist() == [0, 0, 0, 3]
    assert set(workers_of(history.processes)) == {"consumer-0"}


def test_nothing_of_a_step_that_is_open_is_certain(stage: Stage) -> None:
    step = Step(settle=Settle(delivery(1), "done", puts=(put(5), put(6, eta_ms=9))), claim=CLAIM)
    stage.play(step, OutcomeUnknown("?"))
    assert stage.told() == [
        *(". complete 1 info", "also/1 enqueue 5 info", "also/2 schedule 6 info", "next dequeue no end"),
    ]


@pytest.mark.parametrize(("settled", "how"), [("ok", "ok"), ("refused", "fail")])
def test_what_a_task_hands_over_stands_and_falls_with_its_end(stage: Stage, settled: str, how: str) -> None:
    stage.play(Step(settle=Settle(delivery(1), "done", puts=(put(5), put(6)))), Answer(settled))
    assert stage.told() == [f". complete 1 {how}", f"also/1 enqueue 5 {how}", f"also/2 enqueue 6 {how}"]


def test_a_task_that_goes_on_is_not_completed(stage: Stage) -> None:
    again = put(1)._replace(entry=entry(1, token=1))
    stage.play(Step(settle=Settle(delivery(1), None, puts=(again,)), claim=CLAIM), Answer("ok"))
    history = stage.history()
    assert told(history) == [". enqueue 1 ok", "next dequeue fail"]
    assert history.entry[0] == entry_number(again.entry) != entry_number(entry(1))


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        (Answer("ok", callback=put(9).entry), "ok"),
        (Answer("ok"), "fail"),
        (Answer("ok", callback=put(8).entry), "fail"),
        (Answer("refused"), "fail"),
        (Answer("?"), "info"),
    ],
)
def test_the_last_member_of_a_chord_lines_up_its_callback(stage: Stage, answer: Answer, how: str) -> None:
    member = Member(b"chord", 0, 2, b"value", put(9))
    stage.play(Step(settle=Settle(delivery(1), "done", members=(member,))), answer)
    assert stage.told()[1] == f"also/1 enqueue 9 {how}"


def test_what_is_handed_back_together(stage: Stage) -> None:
    stage.play(Step(back=(Back(delivery(1)), Back(delivery(2)))), Answer(handed=(True, False)))
    assert stage.told() == [". requeue 1 ok", "also/1 requeue 2 fail"]


def test_what_the_server_did_has_the_steps_span(stage: Stage) -> None:
    answer = Answer("", delivery(4), returned=((CLAIM, entry(4)), (OTHER_CLAIM, entry(5))), moved=(entry(6), entry(7)))
    stage.play(Step(claim=CLAIM), answer)
    stage.play(Step(move=True), Answer(returned=((CLAIM, entry(4)),)))
    history = stage.history()
    lines = told(history)
    assert sorted(lines) == [
        *(
            ". read_schedule ok",
            "next dequeue 4 ok",
            "server read_schedule ok",
            "server/1 requeue 4 ok",
            "server/1 requeue 4 ok",
        ),
        *("server/2 requeue 5 ok", "server/3 enqueue 6 ok", "server/4 enqueue 7 ok"),
    ]
    step = [i for i in range(len(history)) if history.processes[history.process[i]] == "consumer-0/next"]
    first = {name: history.processes.index(name) for name in ("consumer-0/server/1", "consumer-0/server")}
    for process in first.values():
        mine = [i for i in range(len(history)) if history.process[i] == process]
        assert history.time[mine[0]] <= history.time[step[0]] and history.time[mine[1]] >= history.time[step[1]]
    listed = [i for i in range(len(history)) if history.list_len[i]]
    assert [history.tasks_of(i).tolist() for i in listed] == [[6, 7]]
    assert set(workers_of(history.processes)) == {"consumer-0", "consumer-0/server"}


def test_an_entry_whose_id_names_no_task_is_not_guessed_at(stage: Stage) -> None:
    stage.play(Step(move=True), Answer(returned=((CLAIM, b"x" * 12),), moved=(b"y" * 12,)))
    assert stage.told() == [". read_schedule ok"]
    # What came with a message has the message's.
    stage.play(Step(claim=CLAIM), Answer(delivery=delivery(8)._replace(entry=b"x" * 12)))
    assert stage.told() == [". read_schedule ok", "next dequeue 8 ok"]


# ---------------------------------------------------------------- claims that are asked for again


def test_a_claim_that_is_asked_for_again_is_one_dequeue(stage: Stage) -> None:
    stage.play(Step(settle=Settle(delivery(1), "done"), claim=CLAIM), OutcomeUnknown("?"))
    stage.play(Step(claim=CLAIM), exceptions.ReadOnlyError("READONLY"))
    stage.play(Step(claim=CLAIM), Answer(delivery=delivery(2)))
    history = stage.history()
    assert told(history) == [". complete 1 info", "next dequeue 2 ok"]
    assert history.time[1] == history.time[history.process == history.process[1]][0]


def test_a_claim_that_is_given_up_stays_open(stage: Stage) -> None:
    stage.play(Step(claim=CLAIM), OutcomeUnknown("?"))
    stage.play(Step(claim=OTHER_CLAIM), Answer())
    assert stage.told() == ["next dequeue info", "next.1 dequeue fail"]


def test_an_empty_answer_to_a_claim_that_was_open_says_nothing_of_the_first(stage: Stage) -> None:
    stage.play(Step(claim=CLAIM), OutcomeUnknown("?"))
    stage.play(Step(claim=CLAIM), Answer())
    stage.play(Step(claim=OTHER_CLAIM), Answer())
    assert stage.told() == ["next dequeue info", "next.1 dequeue fail"]


# ---------------------------------------------------------------- bodies, threads, numbers


def test_the_body_is_recorded_and_completion_is_the_storages(stage: Stage) -> None:
    task = stage.huey.task(name="work")(lambda: None).s()
    task.id = task_id(1)
    stage.huey.execute(task)
    assert stage.told() == [". execute 1 ok"]


def test_workers_of_one_process_do_not_share_logs(stage: Stage) -> None:
    stage.storage.answers += [Answer("ok", delivery(2)), Answer("ok", delivery(2))]
    step = Step(settle=Settle(delivery(1), "done"), claim=CLAIM)
    for name in ("Worker-1", "Worker-2"):
        thread = threading.Thread(target=stage.storage.perform, args=(step,), name=name)
        thread.start()
        thread.join()
    history = stage.history()
    assert set(history.processes) == {f"consumer-0/w{i}{part}" for i in (1, 2) for part in ("", "/next")}
    assert set(workers_of(history.processes)) == {"consumer-0/w1", "consumer-0/w2"}


def test_numbers_of_entries() -> None:
    assert number_of_entry(entry(17)) == 17
    assert number_of_entry(b"x" * 12) is None
    assert number_of_entry(b"x" * 12 + b"foreign") == number_of_id("foreign")
    numbers = {entry_number(bytes([i, j]) * 6) for i in range(64) for j in range(64)}
    assert len(numbers) == 4096 and all(0 < number < 1 << 31 for number in numbers)
    assert entry_number(entry(1)) == entry_number(entry(1)[:12])


# ---------------------------------------------------------------- drains


def drained(stage: Stage) -> History:
    drain(stage.huey, stage.recorder.log, 0.0)
    return stage.history()


def test_a_drain_lists_what_is_held_in_any_way_and_what_was_done(stage: Stage) -> None:
    stage.storage.left = {"queued": [b"hh-000000000001"], "scheduled": [b"hh-000000000002"], "leased": [put(3).message]}
    stage.storage.done = [entry(4), entry(4, token=1), b"adopted 1234"]
    history = drained(stage)
    assert log.TYPES[history.type[1]] == "fail"
    assert history.tasks_of(1).tolist() == [1, 2, 3]
    assert history.done_of(1).tolist() == [4, 4]
    assert history.done_entries_of(1).tolist() == [entry_number(entry(4)), entry_number(entry(4, token=1))]
    exported = read_jsonl(stage.folder / "history.jsonl")
    assert exported.done_entries_of(1).tolist() == history.done_entries_of(1).tolist()


def test_a_drain_that_finds_nothing(stage: Stage) -> None:
    history = drained(stage)
    assert log.TYPES[history.type[1]] == "ok"
    assert history.has_done[1] and not history.done_len[1]


def test_a_drain_that_gets_no_answer_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> Any:
        raise exceptions.ConnectionError("gone")

    monkeypatch.setattr(stage.storage, "held", gone)
    assert log.TYPES[drained(stage).type[1]] == "info"


def test_a_storage_without_acknowledgement_is_drained_as_ever(tmp_path: Path) -> None:
    huey = MemoryHuey("q")
    recorder = Recorder(tmp_path, "drain", 0)
    task = huey.task(name="work")(lambda: None).s()
    task.id = task_id(5)
    huey.enqueue(task)
    drain(huey, recorder.log, 0.0)
    history = read_run(tmp_path)
    assert history.tasks_of(1).tolist() == [5] and not history.has_done[1]


# ---------------------------------------------------------------- lives of tasks, recorded and judged


def lived(stage: Stage, *steps: tuple[Step, Answer | BaseException]) -> dict[str, int | None]:
    for step, answer in steps:
        stage.play(step, answer)
    drain(stage.huey, stage.recorder.log, 0.0)
    verdict = judge(stage.history(), Context())
    assert verdict.validity is Validity.VALID, verdict
    return {name: count for name, count in verdict.counts.items() if count}


def test_a_task_whose_worker_was_too_slow_is_completed_by_the_next(stage: Stage) -> None:
    late, quick = delivery(1), delivery(1, count=2, claim=OTHER_CLAIM)
    stage.storage.done = [entry(1)]
    assert lived(
        stage,
        (Step(put=put(1)), Answer()),
        (Step(claim=CLAIM), Answer(delivery=late)),
        (Step(claim=OTHER_CLAIM), Answer(delivery=quick, returned=((CLAIM, entry(1)),))),
        (Step(settle=Settle(quick, "done")), Answer("ok")),
        (Step(settle=Settle(late, "done")), Answer("refused")),
    ) == {"attempted": 1, "acknowledged": 1, "completed": 1, "refused": 1}


def test_a_scheduled_task_that_the_server_moved_has_its_own_priority(stage: Stage) -> None:
    now_ms = int(time.time() * 1000)
    stage.storage.done = [entry(1), entry(2)]
    assert lived(
        stage,
        (Step(put=put(1, eta_ms=now_ms, priority=5)), Answer()),
        (Step(put=put(2, priority=3)), Answer()),
        (Step(move=True), Answer(moved=(entry(1),))),
        (Step(claim=CLAIM), Answer(delivery=delivery(1))),
        (Step(settle=Settle(delivery(1), "done"), claim=OTHER_CLAIM), Answer("ok", delivery(2, claim=OTHER_CLAIM))),
        (Step(settle=Settle(delivery(2, claim=OTHER_CLAIM), "done")), OutcomeUnknown("?")),
    ) == {"attempted": 2, "acknowledged": 2, "completed": 2}


def test_a_retry_is_asked_for(stage: Stage) -> None:
    task = stage.huey.task(name="work")(lambda: None).s()
    task.id = task_id(1)
    again = put(1)._replace(entry=entry(1, token=1))
    second = delivery(1, claim=OTHER_CLAIM)._replace(entry=again.entry)
    stage.play(Step(put=put(1)), Answer())
    stage.play(Step(claim=CLAIM), Answer(delivery=delivery(1)))
    stage.huey.execute(task)
    stage.play(Step(settle=Settle(delivery(1), None, puts=(again,)), claim=OTHER_CLAIM), Answer("ok", second))
    stage.huey.execute(task)
    stage.storage.done = [entry(1), again.entry]
    assert lived(stage, (Step(settle=Settle(second, "done")), Answer("ok"))) == {
        "attempted": 1, "acknowledged": 1, "executions": 2, "completed": 1,
    }  # fmt: skip
