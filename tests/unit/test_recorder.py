"""The recorder: what is written down of a Huey instance, and what may be said of an operation that failed."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from huey.api import Huey, MemoryHuey, RedisHuey
from huey.exceptions import CancelExecution
from huey.storage import MemoryStorage
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from harness import evidence_recorder
from harness.agents import errors
from harness.agents.logs import Recorder
from harness.agents.numbers import number_in, number_of_id, task_id
from harness.agents.recorder import record
from harness.history import log
from harness.history.log import LogTail, LogWriter, Record
from harness.history.merge import read_run


def written(folder: Path) -> list[Record]:
    found: list[Record] = []
    for path in folder.glob("*.log"):
        tail = LogTail(path)
        found += tail.read_new()
        tail.close()
    return sorted(found)


def told(records: list[Record]) -> list[tuple[str, str]]:
    return [(log.TYPES[one.type], log.F_NAMES[one.f]) for one in records]


def recorded(tmp_path: Path, huey: Any) -> Any:
    record(huey, Recorder(tmp_path, "agent-0", 0))
    return huey


def test_every_step_of_a_task_is_bracketed(tmp_path: Path) -> None:
    huey = recorded(tmp_path, MemoryHuey("q"))

    @huey.task()  # type: ignore[untyped-decorator]
    def work() -> None:
        pass

    task = work.s()
    task.id, task.priority = task_id(17), 5
    huey.enqueue(task)
    huey.execute(huey.dequeue())
    assert huey.dequeue() is None
    records = written(tmp_path)
    assert told(records) == [
        ("invoke", "enqueue"), ("ok", "enqueue"), ("invoke", "dequeue"), ("ok", "dequeue"),
        ("invoke", "execute"), ("ok", "execute"), ("invoke", "complete"), ("ok", "complete"),
        ("invoke", "dequeue"), ("fail", "dequeue"),
    ]  # fmt: skip
    assert {one.task for one in records} == {17, log.NO_TASK}
    assert records[0].priority == 5
    assert [one.time for one in records] == sorted(one.time for one in records)


def raising(error: BaseException) -> Any:
    def body() -> None:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "retries", "outcome"),
    [
        (ValueError("no"), 0, "failed"),
        (ValueError("no"), 1, None),  # it is queued again
        (CancelExecution(), 0, "cancelled"),
        (KeyboardInterrupt(), 0, None),  # Huey's execute returns normally, and the task was not done
    ],
)
def test_outcomes(tmp_path: Path, error: BaseException, retries: int, outcome: str | None) -> None:
    huey = recorded(tmp_path, MemoryHuey("q"))
    task = huey.task(name="work", retries=retries)(raising(error)).s()
    task.id = task_id(1)
    huey.enqueue(task)
    huey.execute(huey.dequeue())
    completes = [one for one in written(tmp_path) if one.f == log.COMPLETE]
    assert [log.OUTCOMES[one.outcome] for one in completes] == ([outcome] * 2 if outcome else [])


def test_a_revoked_task_is_not_executed_and_has_an_outcome(tmp_path: Path) -> None:
    huey = recorded(tmp_path, MemoryHuey("q"))
    task = huey.task(name="work")(lambda: None).s()
    task.id = task_id(1)
    huey.enqueue(task)
    huey.revoke_by_id(task.id)
    huey.execute(huey.dequeue())
    records = written(tmp_path)
    assert log.EXECUTE not in {one.f for one in records}
    assert records[-1].outcome == log.REVOKED


def test_a_body_that_never_began_has_no_outcome(tmp_path: Path) -> None:
    class NotEvenAsked(MemoryStorage):
        def peek_data(self, key: str) -> Any:
            raise exceptions.ConnectionError("gone")

    huey = recorded(tmp_path, Huey("q", storage_class=NotEvenAsked))
    task = huey.task(name="work")(lambda: None).s()
    huey.enqueue(task)
    with pytest.raises(exceptions.ConnectionError):
        huey.execute(huey.dequeue())
    assert not {log.EXECUTE, log.COMPLETE} & {one.f for one in written(tmp_path)}


def test_a_task_that_was_done_and_could_not_be_put_away_is_open(tmp_path: Path) -> None:
    class NotPutAway(MemoryStorage):
        def delete_data(self, key: str) -> Any:
            raise exceptions.TimeoutError("gone")

    huey = recorded(tmp_path, Huey("q", storage_class=NotPutAway))
    huey.enqueue(huey.task(name="work")(lambda: None).s())
    with pytest.raises(exceptions.TimeoutError):
        huey.execute(huey.dequeue())
    assert told(written(tmp_path))[-2:] == [("invoke", "complete"), ("info", "complete")]


def test_each_thread_writes_a_log_of_its_own(tmp_path: Path) -> None:
    huey = recorded(tmp_path, MemoryHuey("q"))
    threads = [threading.Thread(target=huey.dequeue, name=f"Worker-{i}") for i in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    huey.dequeue()
    names = set()
    for path in tmp_path.glob("*.log"):
        tail = LogTail(path)
        list(tail.read_new())
        names.add(tail.name)
    assert names == {"agent-0", "agent-0/w1", "agent-0/w2"}


def test_numbers_of_ids() -> None:
    assert number_of_id(task_id(17)) == 17
    assert number_of_id("hh-nonsense") == number_of_id("hh-nonsense")
    foreign = number_of_id("0b5a3c1e-8d6f-4a9b-9f43-2f6d5f5a8f10")
    assert 1 << 61 <= foreign < 1 << 63


@pytest.mark.parametrize("kwargs", [{}, {"compression": True}])
def test_numbers_of_payloads(kwargs: dict[str, Any]) -> None:
    huey = MemoryHuey("q", **kwargs)
    task = huey.task(name="work")(lambda: None).s()
    task.id = task_id(123)
    assert number_in(huey.serialize_task(task), huey) == 123
    assert number_in(b"\x80garbage", huey) >= 1 << 61


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (exceptions.ReadOnlyError("You can't write against a read only replica."), log.FAIL),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), log.FAIL),
        (exceptions.ClusterDownError("CLUSTERDOWN Hash slot not served"), log.FAIL),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), log.FAIL),
        (NotImplementedError("priority"), log.FAIL),
        (KeyboardInterrupt(), log.INFO),
        (OSError("disk"), log.INFO),
        (RuntimeError("?"), log.INFO),
        (exceptions.ResponseError("ERR something that nobody has heard of"), log.INFO),
    ],
)
def test_the_table(error: BaseException, expected: int) -> None:
    errors.attempts.unanswered = 0
    assert errors.classify(error)[0] == expected


def test_nothing_is_certain_after_an_attempt_that_was_not_answered() -> None:
    errors.attempts.unanswered = 1
    try:
        assert errors.classify(exceptions.ReadOnlyError("READONLY"))[0] == log.INFO
    finally:
        errors.attempts.unanswered = 0


# ---------------------------------------------------------------- the log


def test_a_log_survives_a_sigkill_and_a_fork(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from harness.agents.logs import Recorder\n"
        "recorder = Recorder(Path(sys.argv[1]), 'agent-0', 0)\n"
        "for i in range(1000): recorder.log.write(1, 0, i)\n"
        "if os.fork() == 0:\n"
        "    for i in range(1000, 1500): recorder.log.write(1, 0, i)\n"
        "    os.kill(os.getpid(), 9)\n"
        "os.wait()\n"
        "recorder.log.write(1, 0, 1500)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("*.log"))) == 2
    assert sorted(one.task for one in written(tmp_path)) == list(range(1501))


def test_what_is_made_ready_is_written_as_the_rest_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_now", lambda: 5)
    plain = LogWriter(tmp_path / "a.log", "agent-0")
    plain.write(log.INVOKE, log.ENQUEUE, 7, 2.5)
    plain.write(log.OK, log.DEQUEUE, 8)
    plain.write(log.INVOKE, log.COMPLETE, 9, outcome=log.FAILED)
    plain.write(log.OK, log.COMPLETE, 9, outcome=log.FAILED)
    ready = LogWriter(tmp_path / "b.log", "agent-0")
    ready.event(log.INVOKE, log.ENQUEUE)(7, 2.5)
    ready.event(log.OK, log.DEQUEUE)(8)
    ready.span(log.COMPLETE, log.FAILED)(9)
    for writer in (plain, ready):
        writer.close()
    one, other = ((tmp_path / name).read_bytes() for name in ("a.log", "b.log"))
    assert one[log.HEADER_BYTES :] == other[log.HEADER_BYTES :]
    assert log.read_header(one, tmp_path).count == log.read_header(other, tmp_path).count == 4


def test_a_full_log_drops_both_halves_of_a_span(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "a.log", "agent-0", bytes_max=log.CHUNK_BYTES)
    fits = (log.CHUNK_BYTES - log.HEADER_BYTES) // log.RECORD_BYTES
    begun, completed = writer.event(log.INVOKE, log.ENQUEUE), writer.span(log.COMPLETE)
    for i in range(fits - 1):
        begun(i)
    completed(1)  # half of it would fit
    begun(2)
    begun(3)
    header = log.read_header((tmp_path / "a.log").read_bytes(), tmp_path)
    assert (header.count, header.dropped) == (fits, 3)
    writer.close()


def test_nothing_is_lost_of_writers_that_are_killed() -> None:
    told = evidence_recorder.campaign(events=200_000, kills=6, seed=os.getpid())
    assert told["events"] >= 200_000
    assert (told["kills"], told["lost"], told["wrong"]) == (6, 0, [])


def test_an_event_that_is_missing_is_seen(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "a.log", "writer")
    for task in range(5):
        for type_, f in evidence_recorder.KINDS:
            writer.write(type_, f, task)
    writer.close()
    history = read_run(tmp_path)
    for returned, wrong in ((20, ""), (19, "in the log"), (21, "in the log"), (18, ""), (17, "in the log")):
        assert wrong in evidence_recorder.judge(history, returned).wrong
        assert bool(wrong) == bool(evidence_recorder.judge(history, returned).wrong)


def test_a_full_log_counts_what_it_drops(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "a.log", "agent-0", bytes_max=log.CHUNK_BYTES)
    fits = (log.CHUNK_BYTES - log.HEADER_BYTES) // log.RECORD_BYTES
    for i in range(fits + 10):
        writer.write(log.INVOKE, log.ENQUEUE, i)
    header = log.read_header((tmp_path / "a.log").read_bytes(), tmp_path)
    assert (header.count, header.dropped) == (fits, 10)
    writer.close()


def test_who_follows_a_log_from_its_beginning_never_finds_half_a_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.log"
    found_meanwhile = []

    class Watched(struct.Struct):
        """Somebody looks at the file just when all but the last store of the header was done."""

        def pack_into(self, *arguments: Any) -> None:
            super().pack_into(*arguments)
            tail = LogTail(path)
            found_meanwhile.append((list(tail.read_new()), tail.name))
            tail.close()

    monkeypatch.setattr(log, "HEADER", Watched(log.HEADER.format))
    writer = LogWriter(path, "agent-0")
    assert found_meanwhile == [([], "")]
    writer.write(log.INVOKE, log.ENQUEUE, task=1)
    tail = LogTail(path)
    assert [one.task for one in tail.read_new()] == [1]
    assert tail.name == "agent-0"
    tail.close()
    writer.close()


def test_a_tail_yields_each_record_once(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "a.log", "agent-0")
    tail = LogTail(tmp_path / "a.log")
    assert list(tail.read_new()) == []
    writer.write(log.INVOKE, log.ENQUEUE, 1)
    assert [one.task for one in tail.read_new()] == [1]
    writer.write_list(log.OK, log.READ_SCHEDULE, [2, 3])
    assert [(one.type, one.task) for one in tail.read_new()] == [(log.OK, -1), (log.MORE, 2), (log.MORE, 3)]
    assert list(tail.read_new()) == []
    writer.close()
    tail.close()


def test_every_write_is_stamped_by_the_one_clock(tmp_path: Path) -> None:
    before = time.monotonic_ns()
    writer = LogWriter(tmp_path / "a.log", "agent-0")
    writer.write(log.INVOKE, log.ENQUEUE, 1)
    writer.close()
    (only,) = written(tmp_path)
    assert before <= only.time <= time.monotonic_ns()
    assert os.path.getsize(tmp_path / "a.log") == log.HEADER_BYTES + log.RECORD_BYTES


# ---------------------------------------------------------------- attempts beneath the client


@pytest.fixture
def attempts() -> Iterator[errors.Attempts]:
    errors.watch_redis()
    errors.attempts.unanswered = 0
    yield errors.attempts
    errors.attempts.unanswered = 0


def served(*answers: bytes | None) -> int:
    """A port whose server takes one command after the other and gives these answers; None = it hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            client, _ = listener.accept()
            with client:
                for answer in answers:
                    if not client.recv(65536) or answer is None:
                        return
                    client.sendall(answer)
                client.recv(1)  # until the client hangs up

    threading.Thread(target=serve, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def client(port: int) -> redis.Redis:
    return redis.Redis(port=port, protocol=2, driver_info=None, retry=Retry(NoBackoff(), 0), socket_timeout=2)


def ended(port: int) -> tuple[int, int]:
    connected = client(port)
    with pytest.raises(exceptions.RedisError) as caught:
        connected.lpush("q", "x")
    connected.close()
    return errors.classify(caught.value)


def test_a_refused_connection_is_certain(attempts: errors.Attempts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert ended(port) == (log.FAIL, log.E_REFUSED)


def test_a_refused_command_is_certain(attempts: errors.Attempts) -> None:
    assert ended(served(b"-READONLY You can't write against a read only replica.\r\n"))[0] == log.FAIL
    assert ended(served(b"-LOADING Redis is loading the dataset in memory\r\n"))[0] == log.FAIL


def test_a_command_without_an_answer_is_open(attempts: errors.Attempts) -> None:
    assert ended(served(None)) == (log.INFO, log.E_LOST)


def test_a_dequeue_that_hides_a_lost_answer_is_open(tmp_path: Path, attempts: errors.Attempts) -> None:
    port = served(b"")  # takes the command, and never answers
    huey = RedisHuey("q", port=port, protocol=2, driver_info=None, socket_timeout=1.2, read_timeout=1)
    record(huey, Recorder(tmp_path, "agent-0", 0))
    assert huey.dequeue() is None
    assert told(written(tmp_path)) == [("invoke", "dequeue"), ("info", "dequeue")]
    huey.storage.pool.disconnect()
