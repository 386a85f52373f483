from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checkers import Context
from harness.checkers.judge import judge
from harness.history import log
from harness.history.columns import History, agent_of, is_nemesis, workers_of
from harness.history.jsonl import as_dicts, read_jsonl, write_jsonl
from harness.history.log import (
    COMPLETE,
    DEQUEUE,
    DRAIN,
    ENQUEUE,
    EXECUTE,
    FAIL,
    INFO,
    INVOKE,
    NEMESIS,
    OK,
    PUT_RESULT,
    READ_SCHEDULE,
    LogWriter,
)  # fmt: skip
from harness.history.merge import read_run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The writer's clock: [now, step]; each record is a step later than the one before."""
    state = [0, 1]

    def now() -> int:
        state[0] += state[1]
        return state[0]

    monkeypatch.setattr(log, "_now", now)
    return state


def lines(history: History) -> list[str]:
    """`process type f task` of each event."""
    return [
        f"{event['process']} {event['type']} {event['f']}" + (f" {event['task']}" if "task" in event else "")
        for event in as_dicts(history)
    ]


def write(path: Path, name: str, *records: tuple[Any, ...], incarnation: int = 0) -> LogWriter:
    writer = LogWriter(path, name, incarnation=incarnation)
    for record in records:
        writer.write(*record)
    return writer


def test_two_writers_in_the_order_of_time(tmp_path: Path, clock: list[int]) -> None:
    (tmp_path / "below").mkdir()
    producer = write(tmp_path / "p.log", "producer-0", (INVOKE, ENQUEUE, 17, 5.0))
    consumer = write(tmp_path / "below" / "c.log", "consumer-1/w2", (INVOKE, DEQUEUE))
    producer.write(OK, ENQUEUE, 17)
    consumer.write(OK, DEQUEUE, 17)
    producer.close()
    history = read_run(tmp_path)  # the consumer's is still open: as long as its agent lives, so is its log
    assert history.time.tolist() == [1, 2, 3, 4]
    assert lines(history) == [
        "producer-0 invoke enqueue 17",
        "consumer-1/w2 invoke dequeue",
        "producer-0 ok enqueue 17",
        "consumer-1/w2 ok dequeue 17",
    ]
    assert history.priority.tolist() == [5, 0, 0, 0]
    assert (history.dropped, history.warnings) == (0, ())


def test_ties_keep_the_order_of_each_file(tmp_path: Path, clock: list[int]) -> None:
    clock[1] = 0
    for name in "ab":
        write(tmp_path / f"{name}.log", name, *((kind, ENQUEUE, task) for task in range(100) for kind in (INVOKE, OK)))
    own = [line for line in lines(read_run(tmp_path)) if line.startswith("a")]
    assert own == [f"a {kind} enqueue {task}" for task in range(100) for kind in ("invoke", "ok")]


def test_after_an_info_the_worker_goes_on_under_a_new_name(tmp_path: Path, clock: list[int]) -> None:
    write(
        tmp_path / "w.log",
        "c/w1",
        (INVOKE, DEQUEUE), (INFO, DEQUEUE), (INVOKE, DEQUEUE), (INFO, DEQUEUE), (INVOKE, DEQUEUE), (OK, DEQUEUE, 3),
    )  # fmt: skip
    assert lines(read_run(tmp_path)) == [
        "c/w1 invoke dequeue",
        "c/w1 info dequeue",
        "c/w1.1 invoke dequeue",
        "c/w1.1 info dequeue",
        "c/w1.2 invoke dequeue",
        "c/w1.2 ok dequeue 3",
    ]


def test_a_body_ends_under_the_name_it_began_under(tmp_path: Path, clock: list[int]) -> None:
    write(
        tmp_path / "w.log",
        "c/w1",
        (INVOKE, EXECUTE, 3), (INVOKE, PUT_RESULT, 3), (INFO, PUT_RESULT, 3), (INVOKE, PUT_RESULT, 3),
        (OK, PUT_RESULT, 3), (OK, EXECUTE, 3), (INVOKE, COMPLETE, 3), (OK, COMPLETE, 3),
    )  # fmt: skip
    history = read_run(tmp_path)
    assert [line.split()[0] for line in lines(history)] == [
        "c/w1", "c/w1", "c/w1", "c/w1.1", "c/w1.1", "c/w1", "c/w1.1", "c/w1.1",
    ]  # fmt: skip
    path = tmp_path / "history.jsonl"
    write_jsonl(history, path)
    assert len(read_jsonl(path)) == len(history)


def test_the_nemesis_keeps_its_name(tmp_path: Path, clock: list[int]) -> None:
    write(tmp_path / "n.log", "nemesis", *((INFO, NEMESIS, -1, 0.0, 0, fault, 0, 0) for fault in (0, 1, 0, 2)))
    assert lines(read_run(tmp_path)) == ["nemesis info nemesis"] * 4
    named = read_run(tmp_path, ["kill", "pause"])
    assert [line.split()[2] for line in lines(named)] == ["kill", "pause", "kill", "nemesis"]
    assert named.value.tolist() == [0, 1, 0, 2]


def test_a_restarted_worker_goes_on_under_a_new_name(tmp_path: Path, clock: list[int]) -> None:
    # The names of the files say nothing: the first event does.
    write(tmp_path / "z.log", "c/w1", (INVOKE, DEQUEUE), (INFO, DEQUEUE))
    write(tmp_path / "a.log", "c/w1", (INVOKE, DEQUEUE), incarnation=1)
    write(tmp_path / "m.log", "c/w1", incarnation=2)
    write(tmp_path / "b.log", "c/w1", (INVOKE, DEQUEUE), (OK, DEQUEUE, 1), incarnation=3)
    write(tmp_path / "c.log", "c/w10", (INVOKE, DEQUEUE))
    assert lines(read_run(tmp_path)) == [
        "c/w1 invoke dequeue",
        "c/w1 info dequeue",
        "c/w1.1 invoke dequeue",
        "c/w1.2 invoke dequeue",
        "c/w1.2 ok dequeue 1",
        "c/w10 invoke dequeue",
    ]


def test_who_wrote_first_was_first(tmp_path: Path, clock: list[int]) -> None:
    earlier, later = write(tmp_path / "a.log", "c/w1"), write(tmp_path / "b.log", "c/w1", incarnation=1)
    later.write(INVOKE, DEQUEUE)
    earlier.write(INVOKE, ENQUEUE, 1)
    assert lines(read_run(tmp_path)) == ["c/w1 invoke dequeue", "c/w1.1 invoke enqueue 1"]


def test_a_name_that_is_taken(tmp_path: Path, clock: list[int]) -> None:
    write(tmp_path / "a.log", "c.1", (INVOKE, DEQUEUE))
    write(tmp_path / "b.log", "c", (INVOKE, DEQUEUE), (INFO, DEQUEUE), (INVOKE, DEQUEUE))
    names = [line.split()[0] for line in lines(read_run(tmp_path))]
    assert len(set(names)) == 3


def test_lists(tmp_path: Path, clock: list[int]) -> None:
    writer = write(tmp_path / "s.log", "c/scheduler", (INVOKE, READ_SCHEDULE))
    writer.write_list(OK, READ_SCHEDULE, [5, 6, 7])
    writer.write(INVOKE, READ_SCHEDULE)
    writer.write_list(OK, READ_SCHEDULE, [])
    other = write(tmp_path / "d.log", "drain", (INVOKE, DRAIN))
    other.write_list(FAIL, DRAIN, [8])
    other.write(INVOKE, DRAIN)
    other.write_drain(FAIL, [1, 2], [3, 4, 5])
    other.write(INVOKE, DRAIN)
    other.write_drain(OK, [], [])
    history = read_run(tmp_path)
    assert history.warnings == ()
    told = [
        (history.tasks_of(i).tolist(), history.done_of(i).tolist() if history.has_done[i] else None)
        for i in range(len(history))
        if history.type[i] != INVOKE
    ]
    assert told == [([5, 6, 7], None), ([], None), ([8], None), ([1, 2], [3, 4, 5]), ([], [])]
    assert history.entry.tolist() == [0] * len(history)


def test_a_list_torn_by_a_kill_is_no_end(tmp_path: Path, clock: list[int]) -> None:
    writer = write(tmp_path / "s.log", "c/scheduler", (INVOKE, READ_SCHEDULE))
    writer.write(OK, READ_SCHEDULE, value=3)
    writer.write(log.MORE, READ_SCHEDULE, 5)
    history = read_run(tmp_path)
    assert (lines(history), history.warnings) == (["c/scheduler invoke read_schedule"], ())


def test_lists_that_cannot_be(tmp_path: Path, clock: list[int]) -> None:
    write(
        tmp_path / "a.log",
        "a",
        (log.MORE, READ_SCHEDULE, 5),
        (INVOKE, DEQUEUE),
        (log.MORE, DEQUEUE, 6),
        (OK, DEQUEUE, 1),
    )
    writer = write(tmp_path / "b.log", "b", (INVOKE, READ_SCHEDULE))
    writer.write(OK, READ_SCHEDULE, value=3)
    writer.write(log.MORE, READ_SCHEDULE, 5)
    writer.write(INVOKE, READ_SCHEDULE)
    history = read_run(tmp_path)
    assert history.warnings == (
        "a.log: begins with a list that belongs to nothing",
        "a.log: event 0 names 1 tasks and says they are 0",
        "b.log: event 1 names 1 tasks and says they are 3",
    )
    assert len(history) == 5


# ---------------------------------------------------------------- material that was torn, or is none


def test_files_that_hold_nothing_are_no_news(tmp_path: Path, clock: list[int]) -> None:
    (tmp_path / "empty.log").touch()
    (tmp_path / "claimed.log").write_bytes(bytes(log.CHUNK_BYTES))
    # Killed between two fields of the header, of which the magic is the last.
    (tmp_path / "half.log").write_bytes(struct.pack("<8xI", log.RECORD_BYTES) + bytes(log.CHUNK_BYTES))
    write(tmp_path / "unused.log", "c/w1")
    write(tmp_path / "p.log", "p", (INVOKE, ENQUEUE, 1))
    history = read_run(tmp_path)
    assert (lines(history), history.warnings) == (["p invoke enqueue 1"], ())


def test_nothing_at_all(tmp_path: Path) -> None:
    history = read_run(tmp_path)
    assert (len(history), history.processes, history.warnings) == (0, (), ())
    # Nothing is lost of nothing; that there was no drain is why nobody knows.
    verdict = judge(history, Context())
    assert verdict.validity == "unknown"
    assert not verdict.findings


def test_what_is_no_log_is_a_warning(tmp_path: Path, clock: list[int]) -> None:
    (tmp_path / "text.log").write_text("Traceback (most recent call last):\n" * 200)
    (tmp_path / "short.log").write_bytes(b"hueylog1")
    # Somebody overwrote where the magic stood.
    (tmp_path / "spoilt.log").write_bytes(
        struct.pack("<8xIIIxxxxQ", log.RECORD_BYTES, 7, 0, 3) + bytes(log.CHUNK_BYTES)
    )
    (tmp_path / "folder.log").mkdir()
    write(tmp_path / "p.log", "p", (INVOKE, ENQUEUE, 1))
    history = read_run(tmp_path)
    assert lines(history) == ["p invoke enqueue 1"]
    files = ["folder.log", "short.log", "spoilt.log", "text.log"]
    assert sorted(warning.partition(":")[0] for warning in history.warnings) == files
    assert not any(str(tmp_path) in warning for warning in history.warnings)


def test_a_log_cut_short(tmp_path: Path, clock: list[int]) -> None:
    path = tmp_path / "p.log"
    write(path, "p", *((INVOKE, ENQUEUE, 1), (OK, ENQUEUE, 1), (INVOKE, ENQUEUE, 2))).close()
    os.truncate(path, log.HEADER_BYTES + 2 * log.RECORD_BYTES + 20)
    history = read_run(tmp_path)
    assert lines(history) == ["p invoke enqueue 1", "p ok enqueue 1"]
    assert history.warnings == ("p.log: its header counts 3 records, 2 are there",)


def test_records_that_make_no_sense(tmp_path: Path, clock: list[int]) -> None:
    writer = write(tmp_path / "p.log", "p", (INVOKE, ENQUEUE, 1), (9, ENQUEUE, 1), (OK, 200, 1), (OK, ENQUEUE, 1))
    writer.write(INVOKE, ENQUEUE, 2, float("nan"))
    clock[0] = -1
    writer.write(INVOKE, ENQUEUE, 3)
    history = read_run(tmp_path)
    assert [line.split()[-1] for line in lines(history)] == ["1", "1", "3"]
    assert history.time.tolist() == [1, 4, 4]
    assert history.warnings == (
        "p.log: 3 records make no sense, the first is number 1",
        "p.log: the clock goes backwards at record 2",
    )


def test_what_was_dropped_is_summed(tmp_path: Path) -> None:
    for name in "ab":
        writer = LogWriter(tmp_path / f"{name}.log", name, bytes_max=log.CHUNK_BYTES)
        for _ in range((log.CHUNK_BYTES - log.HEADER_BYTES) // log.RECORD_BYTES + 3):
            writer.write(INVOKE, NEMESIS)
    assert read_run(tmp_path).dropped == 6


def test_a_writer_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from harness.history import log\n"
        "writer = log.LogWriter(Path(sys.argv[1]), 'p')\n"
        "task = 0\n"
        "while True:\n"
        "    writer.write(log.INVOKE, log.ENQUEUE, task); writer.write(log.OK, log.ENQUEUE, task); task += 1\n"
    )
    path = tmp_path / "p.log"
    with subprocess.Popen([sys.executable, "-c", program, str(path)]) as process:
        deadline = time.monotonic() + 30
        # It grows by chunks of 21,000 records: the kill may fall anywhere.
        while len(read_run(tmp_path)) < 50_000:
            assert time.monotonic() < deadline, "waited 30 s for 50,000 records"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
    history = read_run(tmp_path)
    assert history.warnings == ()
    tasks = history.task[history.type == INVOKE]
    assert tasks.tolist() == list(range(len(tasks)))
    assert len(history) - 2 * len(tasks) in (0, -1)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 1 << 48))
def test_no_bytes_crash_the_reader(seed: int) -> None:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.log"
        writer = write(path, "c/w1", *((rng.randrange(1, 6), rng.randrange(13), rng.randrange(9)) for _ in range(30)))
        writer.close()
        data = bytearray(path.read_bytes())
        for _ in range(rng.randrange(12)):
            at = rng.choice((rng.randrange(64), rng.randrange(log.HEADER_BYTES, len(data))))
            data[at] = rng.randrange(256)
        path.write_bytes(bytes(data[: rng.randrange(len(data) + 1)]) if rng.random() < 0.3 else bytes(data))
        history = read_run(Path(folder))
        assert (history.time[1:] >= history.time[:-1]).all()
        assert not any(reason.startswith("the checker") for reason in judge(history, Context()).reasons)


def test_a_log_of_several_processes(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "c.log", "c/w1/also/")
    for lane in (1, 2):
        writer.write(INVOKE, ENQUEUE, lane, value=lane, at_ns=5)
    writer.write(INFO, ENQUEUE, 1, value=1, at_ns=7)
    writer.write(OK, ENQUEUE, 2, value=2, at_ns=7)
    writer.write(INVOKE, ENQUEUE, 3, value=1, at_ns=9)
    history = read_run(tmp_path)
    assert history.warnings == ()
    names = [history.processes[i] for i in history.process]
    assert [(name, int(task)) for name, task in zip(names, history.task, strict=True)] == [
        ("c/w1/also/1", 1), ("c/w1/also/2", 2), ("c/w1/also/1", 1), ("c/w1/also/2", 2), ("c/w1/also/1.1", 3),
    ]  # fmt: skip
    assert history.time.tolist() == [5, 5, 7, 7, 9]
    assert not history.value.any()
    assert set(workers_of(history.processes)) == {"c/w1"}


def test_names_of_what_a_worker_does_at_once() -> None:
    names = ["c/w1", "c/w1/next", "c/w1/next.1", "c/w1/also/2", "c/w1/also/2.1", "c/w1/server", "c/w1/server/3"]
    assert workers_of(names) == (*["c/w1"] * 5, *["c/w1/server"] * 2)
    assert workers_of(["also/1", "c/also", "server/1/2", "a/b/1", "next"]) == (
        *("also/1", "c/also", "server/1/2", "a/b/1", "next"),
    )


def test_names() -> None:
    assert workers_of(["c/w1", "c/w1.1", "c/w1.12", "10.0.0.1", "p.x", "p"]) == (
        "c/w1", "c/w1", "c/w1", "10.0.0.1", "p.x", "p",
    )  # fmt: skip
    assert [agent_of(name) for name in ("consumer-1/w2", "producer-0", "drain")] == [
        "consumer-1",
        "producer-0",
        "drain",
    ]
    assert [is_nemesis(name) for name in ("nemesis", "nemesis/2", "nemesis.1", "nemesis2", "p")] == [
        True, True, True, False, False,
    ]  # fmt: skip
