"""Whole consumers, as processes of their own: however one ends, what it had in hand goes on elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from huey.consumer import WorkerRecycle
from redis.exceptions import ConnectionError

from harness.storages import ReliableRedisHuey
from harness.storages.reliable.consumer import ReliableConsumer
from harness.storages.reliable.steps import Answer, Step

from .reliable import new_queue, put, remains
from .reliable_work import make_huey
from .servers import HOST, Standalone, eventually, free_port
from .work import consuming

pytestmark = pytest.mark.cluster
PROGRAM = Path(__file__).with_name("reliable_work.py")
WORKERS = [
    "thread",
    "process",
    pytest.param("greenlet", marks=pytest.mark.skipif(not find_spec("gevent"), reason="needs gevent")),
]
#: From a consumer's signal until another one has begun its task; the lease would have been 30 s.
AT_ONCE_S = 3.0


class Queue:
    """A queue, its consumers, and what happened in them."""

    def __init__(self, standalone: Standalone, folder: Path, **options: Any) -> None:
        name = new_queue(standalone).name
        self._given = {
            "class": "ReliableRedisHuey",
            "name": name,
            "options": {**standalone.where, "read_timeout": 0.5, **options},
        }
        self._folder = folder
        self._consumers: list[subprocess.Popen[bytes]] = []
        self.huey = make_huey(self._given)

    def log(self, *whats: str) -> list[tuple[str, int, int]]:
        """What happened: what, to which task, in which process."""
        lines = [line.decode().split(":") for line in self.huey.storage.conn.lrange(f"log.{self.huey.name}", 0, -1)]
        return [(what, int(number), int(pid)) for what, number, pid in lines if not whats or what in whats]

    def wait(self, what: str, count: int = 1, timeout_s: float = 10) -> list[tuple[str, int, int]]:
        """Until that has happened so often."""
        return eventually(
            f"{count} times {what} of {self._given['name']}; so far: {self.log()}",
            lambda: found if len(found := self.log(what)) >= count else None,
            timeout_s,
        )

    def start(self, **options: Any) -> subprocess.Popen[bytes]:
        """A consumer that has its signal handlers."""
        ready = len(self.log("ready"))
        consumer = {"workers": 1, "periodic": False, "health_check_interval": 0.2, **options}
        arguments = json.dumps({**self._given, "consumer": consumer})
        with (self._folder / f"consumer-{len(self._consumers)}.log").open("ab") as out:
            process = subprocess.Popen([sys.executable, str(PROGRAM), arguments], stdout=out, stderr=out)
        self._consumers.append(process)
        self.wait("ready", ready + 1)
        return process

    def release(self) -> None:
        """Let all tasks that block end."""
        self.huey.storage.conn.set(f"release.{self.huey.name}", 1)

    def wait_settled(self) -> None:
        """Until nothing is queued, leased or scheduled."""
        eventually("all is settled", lambda: remains(self.huey.storage) == {}, 20)

    def close(self) -> None:
        self.release()
        for process in self._consumers:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(5)
        self.huey.storage.close()


@pytest.fixture
def make_queue(standalone: Standalone, tmp_path: Path) -> Iterator[Callable[..., Queue]]:
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> Queue:
            queue = Queue(standalone, tmp_path, **options)
            stack.callback(queue.close)
            return queue

        yield make


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("how", ["told to stop", "out of time"])
def test_a_task_in_hand_goes_to_another_consumer_at_once(
    make_queue: Callable[..., Queue], workers: str, how: str
) -> None:
    queue = make_queue(lease_s=30)
    first = queue.start(worker_type=workers, shutdown_timeout=0.2 if how == "out of time" else None)
    queue.huey.block(7)
    queue.wait("begin")
    queue.start(worker_type=workers)
    begun = time.monotonic()
    first.send_signal(signal.SIGTERM if how == "told to stop" else signal.SIGINT)
    (_, _, pid), (_, _, other) = queue.wait("begin", 2)
    took_s = time.monotonic() - begun - (0.2 if how == "out of time" else 0)
    assert took_s < AT_ONCE_S
    assert pid != other
    assert first.wait(10) == 0
    queue.release()
    queue.wait("end")
    queue.wait_settled()
    assert queue.log("end") == [("end", 7, other)]
    assert queue.log("interrupted") != []
    assert queue.huey.storage.done_entries() != []


@pytest.mark.parametrize("workers", WORKERS)
def test_a_graceful_stop_ends_what_is_in_hand_and_leases_no_more(
    make_queue: Callable[..., Queue], workers: str
) -> None:
    queue = make_queue(lease_s=30)
    consumer = queue.start(worker_type=workers, workers=2)
    result = queue.huey.block(7)
    queue.wait("begin")
    consumer.send_signal(signal.SIGINT)
    queue.wait("left")
    # The other worker is still busy, and will not ask for more.
    queue.huey.note(8)
    queue.release()
    assert consumer.wait(10) == 0
    assert result.get() == 7
    assert queue.log("note", "interrupted", "refused") == []
    assert remains(queue.huey.storage) == {"queue": 1, "entries": 1}


@pytest.mark.parametrize("workers", ["thread", "process"])
def test_a_restart(make_queue: Callable[..., Queue], workers: str) -> None:
    """SIGHUP: the same process begins anew, and goes on with what there is."""
    queue = make_queue(lease_s=30)
    consumer = queue.start(worker_type=workers, workers=2)
    queue.huey.note(1)
    queue.wait("note")
    consumer.send_signal(signal.SIGHUP)
    first, second = queue.wait("ready", 2)
    assert first == second
    for number in range(2, 20):
        queue.huey.note(number)
    queue.wait("note", 19)
    queue.wait_settled()
    assert sorted(number for _, number, _ in queue.log("note")) == list(range(1, 20))


@pytest.mark.parametrize("workers", WORKERS)
def test_workers_that_are_recycled_leave_nothing_leased(make_queue: Callable[..., Queue], workers: str) -> None:
    queue = make_queue(lease_s=30)
    results = [queue.huey.note(number) for number in range(20)]
    queue.start(worker_type=workers, workers=2, max_tasks=3)
    queue.wait("note", 20)
    queue.wait_settled()
    assert [number for _, number, _ in sorted(queue.log("note"), key=lambda one: one[1])] == list(range(20))
    assert [result.get() for result in results] == list(range(20))


def test_a_worker_process_that_is_killed(make_queue: Callable[..., Queue]) -> None:
    """As the kernel does when memory runs out: the consumer lives on, and so does the lease, for its time."""
    queue = make_queue(lease_s=1)
    consumer = queue.start(worker_type="process", workers=2)
    queue.huey.block(7)
    ((_, _, pid),) = queue.wait("begin")
    assert pid != consumer.pid
    os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    (_, (_, number, other)) = queue.wait("begin", 2)
    assert time.monotonic() - begun < 1 + 0.5 + AT_ONCE_S
    assert (number, other != pid) == (7, True)
    queue.release()
    queue.wait("end")
    queue.wait_settled()
    assert len(queue.log("end")) == 1


def test_a_consumer_that_was_stopped_for_longer_than_its_lease(make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(lease_s=1.5)
    zombie = queue.start()
    result = queue.huey.block(7)
    queue.wait("begin")
    zombie.send_signal(signal.SIGSTOP)
    queue.start()
    queue.wait("begin", 2)
    queue.release()
    queue.wait("end")
    queue.wait_settled()
    zombie.send_signal(signal.SIGCONT)
    queue.wait("refused")
    assert result.get() == 7
    assert len(queue.log("end")) == 2
    assert queue.huey.result_count() == 0
    # It works on, under new leases.
    queue.huey.note(1)
    queue.huey.note(2)
    queue.wait("note", 2)


@pytest.mark.parametrize("workers", WORKERS)
def test_long_tasks_keep_their_leases(make_queue: Callable[..., Queue], workers: str) -> None:
    queue = make_queue(lease_s=1.2)
    queue.start(worker_type=workers)
    queue.start(worker_type=workers)
    queue.huey.block(7)
    queue.wait("begin")
    storage = queue.huey.storage
    ((claim, first_ms),) = storage.conn.zrange(storage.keys.leases, 0, -1, withscores=True)
    eventually(
        "renewed for twice as long", lambda: storage.conn.zscore(storage.keys.leases, claim) > first_ms + 2400, 20
    )
    queue.release()
    queue.wait("end")
    queue.wait_settled()
    assert len(queue.log("begin")) == 1


# ------------------------------------------------------------ consumers in this process


def test_who_waits_is_woken_when_a_task_is_due(standalone: Standalone) -> None:
    """By the workers' own knowledge of the next deadline: the scheduler sleeps for a minute."""
    huey = new_queue(standalone, read_timeout=1)
    late_by_s: list[float] = []

    @huey.task()
    def note(due: float) -> None:
        late_by_s.append(time.time() - due)

    with consuming(huey, workers=2, scheduler_interval=60):
        for delay_s in (0.5, 0.2):
            note.schedule((time.time() + delay_s,), delay=delay_s)
        eventually("both have run", lambda: len(late_by_s) == 2, 10)
        # At most the time for which Huey's clock and the server's differ early.
        assert all(-0.01 < one < 0.8 for one in late_by_s), late_by_s
        note(time.time())
        eventually("the third has run", lambda: len(late_by_s) == 3, 10)
        assert late_by_s[2] < 0.8


def test_it_is_hueys_consumer_with_our_parts(standalone: Standalone) -> None:
    assert isinstance(new_queue(standalone).create_consumer(), ReliableConsumer)


def test_a_worker_leases_the_next_task_with_the_end_of_the_last_and_hands_it_back_when_it_stops(
    standalone: Standalone,
) -> None:
    huey = new_queue(standalone)
    ran = []
    note = huey.task(name="note")(ran.append)
    for number in range(3):
        note(number)
    worker = huey.create_consumer(max_tasks=2)._create_worker()
    worker.loop()
    assert (ran, huey.pending_count(), len(huey.storage.held_here())) == ([0], 1, 1)
    worker.shutdown()
    assert (ran, huey.pending_count(), huey.storage.held_here()) == ([0], 2, ())
    assert list(huey.storage.renewal._held) == []
    # The last task before it is recycled: it will not ask for another.
    with pytest.raises(WorkerRecycle):
        worker.loop()
    assert (ran, huey.pending_count(), remains(huey.storage)) == ([0, 1], 1, {"queue": 1, "entries": 1})
    assert list(huey.storage.renewal._held) == []


def test_who_ends_waits_for_answers_that_are_on_their_way(standalone: Standalone) -> None:
    """What another thread is just being given is handed back, too."""
    huey = new_queue(standalone)
    storage = huey.storage
    put(storage, "a")
    leased, answer = threading.Event(), threading.Event()
    perform = storage.perform

    def slowly(step: Step) -> Answer:
        found: Answer = perform(step)
        if step.claim is not None:
            leased.set()
            assert answer.wait(10)
        return found

    storage.perform = slowly
    worker = threading.Thread(target=storage.take)
    worker.start()
    assert leased.wait(10)
    ending = threading.Thread(target=huey.notify_interrupted_tasks)
    ending.start()
    ending.join(0.1)
    answer.set()
    ending.join(10)
    worker.join(10)
    assert (huey.pending_count(), remains(storage).get("claims")) == (1, None)


def test_an_error_of_the_connection_reaches_the_worker() -> None:
    """Which backs off, as with Huey's storages; it is not taken for an empty queue."""
    huey = ReliableRedisHuey("nobody", host=HOST, port=free_port(), patience_s=0.2, remember_s=1)
    with pytest.raises(ConnectionError):
        huey.dequeue()


def test_what_one_process_holds_its_child_does_not(standalone: Standalone) -> None:
    """A fork in the midst of work: neither connections nor leases are shared."""
    huey = new_queue(standalone)
    put(huey.storage, "a")
    assert huey.storage.take() is not None
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            found = [len(huey.storage.held_here()), len(huey.storage.renewal._held)]
            huey.storage.hand_back_all()
            put(huey.storage, "b")
            mine = huey.storage.take()
            found += [mine.entry[12:].decode(), len(huey.storage.held_here())]
            huey.storage.hand_back_all()
            os.write(write, json.dumps(found).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert json.loads(answer.read()) == [0, 0, "b", 1]
    assert os.waitpid(pid, 0)[1] == 0
    assert (len(huey.storage.held_here()), huey.pending_count()) == (1, 1)
    huey.storage.hand_back_all()
    assert huey.pending_count() == 2
