"""Writes down what a Huey instance does: every storage operation and every task body, begun and ended.

It wraps methods of one instance, not classes: a storage that nobody records is left as it is. Each thread, and each
forked process, writes a log of its own under a name such as `consumer-1/w2`.
"""

from __future__ import annotations

import datetime
import hashlib
import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from harness.agents.errors import attempts, classify
from harness.history import log
from harness.history.log import (
    COMPLETE,
    DEQUEUE,
    ENQUEUE,
    EXECUTE,
    FAIL,
    INFO,
    INVOKE,
    OK,
    READ_SCHEDULE,
    SCHEDULE,
    LogWriter,
)

#: Ids of our own tasks are this and twelve digits, so that a task's number is found in a payload without unpickling.
ID_PREFIX = b"hh-"
ID_DIGITS = 12
#: Exit status of an agent that cannot record (sysexits.h, EX_IOERR).
NO_LOG = 74
_ID_BYTES = len(ID_PREFIX) + ID_DIGITS


def task_id(number: int) -> str:
    """The Huey task id of the task with that number."""
    return f"hh-{number:0{ID_DIGITS}d}"


def number_of_id(identifier: str) -> int:
    """The number of a task id; of an id that is not ours, 62 bits of its digest (stable, never below 2**61)."""
    if identifier.startswith("hh-"):
        digits = identifier[3 : 3 + ID_DIGITS]
        if digits.isdigit():
            return int(digits)
    digest = hashlib.blake2b(identifier.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 3 | 1 << 61


def number_in(data: bytes, huey: Any) -> int:
    """The number of the task in a payload."""
    at = data.find(ID_PREFIX)
    if at >= 0:
        digits = data[at + len(ID_PREFIX) : at + _ID_BYTES]
        if digits.isdigit():
            return int(digits)
    try:
        return number_of_id(huey.serializer.deserialize(data).id)
    except Exception:
        # What came out is no task: it has a number all the same, that of nothing that was ever put in.
        return number_of_id("garbage:" + hashlib.blake2b(bytes(data), digest_size=8).hexdigest())


class ThreadLog(LogWriter):
    """One thread's log. `busy` while one of its storage operations is open."""

    busy = False


class Recorder:
    """The logs of one agent process. `log` is the calling thread's own, made at its first event."""

    def __init__(self, folder: Path, agent: str, incarnation: int) -> None:
        self.folder = folder
        self.agent = agent
        self.incarnation = incarnation
        self._local = threading.local()
        self._lock = threading.Lock()
        self._opened = 0
        # A forked worker must not write into its parent's log.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()

    @property
    def log(self) -> ThreadLog:
        """The calling thread's log."""
        try:
            return self._local.log  # type: ignore[no-any-return]
        except AttributeError:
            pass
        with self._lock:
            self._opened += 1
            opened = self._opened
        name = f"{self.agent}/{worker}" if (worker := _worker()) else self.agent
        file = f"{name.replace('/', '.')}.{self.incarnation}.{os.getpid()}.{opened}.log"
        try:
            self._local.log = ThreadLog(self.folder / file, name, incarnation=self.incarnation)
        except OSError as error:
            # Huey would take this for an error of the storage, and go on with nobody watching.
            print(f"{name} cannot write its log: {error.strerror}: {error.filename}", file=sys.stderr, flush=True)
            os._exit(NO_LOG)
        return self._local.log  # type: ignore[no-any-return]


def _worker() -> str:
    """Huey's own name for the caller (`Worker-2`, `Scheduler`), shortened; of a main thread, nothing."""
    name = threading.current_thread().name
    if name == "MainThread":
        process = multiprocessing.current_process()
        name = process.name if process.name != "MainProcess" else ""
    if name.startswith("Worker-"):
        return "w" + name[len("Worker-") :]
    return name.lower()


def next_incarnation(folder: Path, agent: str) -> int:
    """How often this agent was started before, counted by files that each start leaves behind."""
    for incarnation in range(10_000):
        try:
            os.close(os.open(folder / f"{agent}.{incarnation}.start", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            continue
        return incarnation
    raise RuntimeError(f"{agent} was started 10,000 times in one run")


def record(huey: Any, recorder: Recorder) -> None:
    """Record this instance from now on."""
    _record_storage(huey, recorder)
    _record_execute(huey, recorder)


def _record_storage(huey: Any, recorder: Recorder) -> None:
    storage = huey.storage
    enqueue, dequeue = storage.enqueue, storage.dequeue
    add_to_schedule, read_schedule = storage.add_to_schedule, storage.read_schedule
    # A storage's method may call another of its own: what is written down is what Huey called.

    def recorded_enqueue(data: bytes, priority: float | None = None, *args: Any, **kwargs: Any) -> Any:
        own = recorder.log
        if own.busy:
            return enqueue(data, priority, *args, **kwargs)
        write = own.write
        number = number_in(data, huey)
        weight = float(priority or 0)
        own.busy = True
        attempts.unanswered = 0
        write(INVOKE, ENQUEUE, number, weight)
        try:
            result = enqueue(data, priority, *args, **kwargs)
        except BaseException as error:
            type_, code = classify(error)
            write(type_, ENQUEUE, number, weight, error=code)
            raise
        else:
            write(OK, ENQUEUE, number, weight)
            return result
        finally:
            own.busy = False

    def recorded_dequeue(*args: Any, **kwargs: Any) -> Any:
        own = recorder.log
        if own.busy:
            return dequeue(*args, **kwargs)
        write = own.write
        own.busy = True
        attempts.unanswered = 0
        write(INVOKE, DEQUEUE)
        try:
            data = dequeue(*args, **kwargs)
        except BaseException as error:
            type_, code = classify(error)
            write(type_, DEQUEUE, error=code)
            raise
        else:
            if data is not None:
                write(OK, DEQUEUE, number_in(data, huey))
            elif attempts.unanswered:
                # Huey's storages take a time-out for an empty queue; the command may have popped something.
                write(INFO, DEQUEUE, error=log.E_TIMEOUT)
            else:
                write(FAIL, DEQUEUE)
            return data
        finally:
            own.busy = False

    def recorded_schedule(data: bytes, ts: datetime.datetime, *args: Any, **kwargs: Any) -> Any:
        write = recorder.log.write
        number = number_in(data, huey)
        eta = _monotonic_ns(ts, huey)
        attempts.unanswered = 0
        write(INVOKE, SCHEDULE, number, eta=eta)
        try:
            result = add_to_schedule(data, ts, *args, **kwargs)
        except BaseException as error:
            type_, code = classify(error)
            write(type_, SCHEDULE, number, eta=eta, error=code)
            raise
        write(OK, SCHEDULE, number, eta=eta)
        return result

    def recorded_read_schedule(*args: Any, **kwargs: Any) -> Any:
        own = recorder.log
        attempts.unanswered = 0
        own.write(INVOKE, READ_SCHEDULE)
        try:
            due = read_schedule(*args, **kwargs)
        except BaseException as error:
            type_, code = classify(error)
            own.write(type_, READ_SCHEDULE, error=code)
            raise
        if attempts.unanswered and not due:
            own.write(INFO, READ_SCHEDULE, error=log.E_TIMEOUT)
        else:
            own.write_list(OK, READ_SCHEDULE, [number_in(data, huey) for data in due])
        return due

    storage.enqueue, storage.dequeue = recorded_enqueue, recorded_dequeue
    storage.add_to_schedule, storage.read_schedule = recorded_schedule, recorded_read_schedule


def _monotonic_ns(ts: datetime.datetime, huey: Any) -> int:
    """Huey's naive time stamp on the recorder's clock, as the two clocks stand now."""
    wall = (ts.replace(tzinfo=datetime.UTC) if getattr(huey, "utc", False) else ts).timestamp()
    return time.monotonic_ns() + int((wall - time.time()) * 1e9)


#: Signals that say how a task ended without its body having returned. Retried and interrupted ones have no outcome yet.
_OUTCOMES = {
    "error": log.FAILED,
    "timeout": log.FAILED,
    "locked": log.FAILED,
    "rate-limited": log.FAILED,
    "canceled": log.CANCELLED,
    "revoked": log.REVOKED,
    "expired": log.EXPIRED,
    "retrying": None,
    "interrupted": None,
}


def _record_execute(huey: Any, recorder: Recorder) -> None:
    """A storage without acknowledgement completes a task when Huey's `execute` has returned for it.

    There is no hook for that moment: SIGNAL_COMPLETE comes before callbacks and chords are handed on (api.py,
    `_execute`), and `execute` returns normally after a KeyboardInterrupt in a body that did not finish.
    """
    execute = huey.execute
    state = threading.local()

    def on_signal(name: str, task: Any, *_: Any) -> None:
        state.outcome = _OUTCOMES[name]

    huey.signal(*_OUTCOMES)(on_signal)

    def recorded_execute(task: Any, *args: Any, **kwargs: Any) -> Any:
        write = recorder.log.write
        number = number_of_id(task.id)
        body = task.execute
        state.outcome = log.DONE
        begun = ended = False

        def recorded_body() -> Any:
            nonlocal begun, ended
            begun = True
            write(INVOKE, EXECUTE, number)
            try:
                value = body()
            except BaseException:
                write(OK, EXECUTE, number, error=log.E_OTHER)
                raise
            write(OK, EXECUTE, number)
            ended = True
            return value

        task.execute = recorded_body
        try:
            result = execute(task, *args, **kwargs)
        except BaseException:
            # The body may have done its work, and what comes after it failed. Open, unless it never began.
            if begun:
                write(INVOKE, COMPLETE, number)
                write(INFO, COMPLETE, number, error=log.E_OTHER)
            raise
        finally:
            # Huey may hand the same object on to a retry: leave it as it was.
            del task.execute
        outcome = state.outcome
        if outcome is not None and (ended or outcome != log.DONE):
            write(INVOKE, COMPLETE, number, outcome=outcome)
            write(OK, COMPLETE, number, outcome=outcome)
        return result

    huey.execute = recorded_execute
