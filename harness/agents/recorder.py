"""Writes down what a Huey instance does: every storage operation and every task body, begun and ended.

It wraps methods of one instance, not classes: a storage that nobody records is left as it is. Each thread, and each
forked process, writes logs of its own under a name such as `consumer-1/w2`. What is recorded of a storage with
acknowledgement stands in `agents.acknowledged`.
"""

from __future__ import annotations

import datetime
import time
from typing import Any

from harness.agents.acknowledged import acknowledges, record_perform
from harness.agents.clock import true_time_ns
from harness.agents.errors import attempts, classify
from harness.agents.logs import Recorder
from harness.agents.numbers import number_in, number_of_id
from harness.history import log
from harness.history.log import (
    COMPLETE,
    DEQUEUE,
    ENQUEUE,
    EXECUTE,
    FAIL,
    INFO,
    INVOKE,
    NO_TASK,
    OK,
    READ_SCHEDULE,
    SCHEDULE,
)


def record(huey: Any, recorder: Recorder) -> None:
    """Record this instance from now on."""
    if acknowledges(huey.storage):
        record_perform(huey, recorder)
    else:
        _record_storage(huey, recorder)
        _record_unread(huey, recorder)
    _record_execute(huey, recorder, completes=not acknowledges(huey.storage))


def _record_storage(huey: Any, recorder: Recorder) -> None:
    storage = huey.storage
    enqueue, dequeue = storage.enqueue, storage.dequeue
    add_to_schedule, read_schedule = storage.add_to_schedule, storage.read_schedule
    # A storage's method may call another of its own: what is written down is what Huey called.

    def recorded_enqueue(data: bytes, priority: float | None = None, *args: Any, **kwargs: Any) -> Any:
        own = recorder.log
        if own.busy:
            return enqueue(data, priority, *args, **kwargs)
        begun, ended = own.enqueue
        number = number_in(data, huey)
        weight = float(priority or 0)
        own.busy = True
        attempts.unanswered = 0
        begun(number, weight)
        try:
            result = enqueue(data, priority, *args, **kwargs)
        except BaseException as error:
            type_, code = classify(error)
            own.write(type_, ENQUEUE, number, weight, error=code)
            raise
        else:
            ended(number, weight)
            return result
        finally:
            own.busy = False

    def recorded_dequeue(*args: Any, **kwargs: Any) -> Any:
        own = recorder.log
        if own.busy:
            return dequeue(*args, **kwargs)
        begun, ended = own.dequeue
        own.busy = True
        attempts.unanswered = 0
        begun(NO_TASK)
        try:
            data = dequeue(*args, **kwargs)
        except BaseException as error:
            type_, code = classify(error)
            own.write(type_, DEQUEUE, error=code)
            raise
        else:
            if data is not None:
                own.taken = number_in(data, huey)
                ended(own.taken)
            elif attempts.unanswered:
                # Huey's storages take a time-out for an empty queue; the command may have popped something.
                own.write(INFO, DEQUEUE, error=log.E_TIMEOUT)
            else:
                own.write(FAIL, DEQUEUE)
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


def _record_unread(huey: Any, recorder: Recorder) -> None:
    """Record the end of what was taken out and cannot be read: Huey drops it (api.py, Huey.dequeue), and Worker.loop
    (consumer.py) makes a line in a log of that."""
    dequeue = huey.dequeue

    def recorded_dequeue(*args: Any, **kwargs: Any) -> Any:
        own = recorder.log
        own.taken = log.NO_TASK
        try:
            return dequeue(*args, **kwargs)
        except Exception:
            if own.taken != log.NO_TASK:
                own.write(INVOKE, COMPLETE, own.taken, outcome=log.DEAD)
                own.write(OK, COMPLETE, own.taken, outcome=log.DEAD)
            raise

    huey.dequeue = recorded_dequeue


def _monotonic_ns(ts: datetime.datetime, huey: Any) -> int:
    """Huey's naive time stamp on the recorder's clock, as it stands to the true one now, whatever this agent's says."""
    wall = (ts.replace(tzinfo=datetime.UTC) if getattr(huey, "utc", False) else ts).timestamp()
    return time.monotonic_ns() + int(wall * 1e9) - true_time_ns()


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


def _record_execute(huey: Any, recorder: Recorder, *, completes: bool) -> None:
    """Record bodies, and with `completes` the ends of tasks: a storage without acknowledgement completes a task when
    Huey's `execute` has returned for it.

    There is no hook for that moment: SIGNAL_COMPLETE comes before callbacks and chords are handed on (api.py,
    `_execute`), and `execute` returns normally after a KeyboardInterrupt in a body that did not finish.
    """
    execute = huey.execute

    def on_signal(name: str, task: Any, *_: Any) -> None:
        recorder.log.outcome = _OUTCOMES[name]

    if completes:
        huey.signal(*_OUTCOMES)(on_signal)

    def recorded_execute(task: Any, *args: Any, **kwargs: Any) -> Any:
        own = recorder.log
        number = number_of_id(task.id)
        body = task.execute
        own.outcome = log.DONE
        begun = ended = False

        def recorded_body() -> Any:
            nonlocal begun, ended
            begin, end = own.execute
            begun = True
            own.task = number
            if (due := getattr(task, "eta", None)) is None:
                begin(number)
            else:
                own.write(INVOKE, EXECUTE, number, eta=_monotonic_ns(due, huey))
            try:
                value = body()
            except BaseException:
                own.write(OK, EXECUTE, number, error=log.E_OTHER)
                raise
            end(number)
            ended = True
            return value

        task.execute = recorded_body
        try:
            result = execute(task, *args, **kwargs)
        except BaseException:
            # The body may have done its work, and what comes after it failed. Open, unless it never began.
            if completes and begun:
                own.write(INVOKE, COMPLETE, number)
                own.write(INFO, COMPLETE, number, error=log.E_OTHER)
            raise
        finally:
            # Huey may hand the same object on to a retry: leave it as it was.
            del task.execute
        if completes:
            outcome = own.outcome
            if ended and outcome == log.DONE:
                own.completed(number)
            elif outcome is not None and outcome != log.DONE:
                own.write(INVOKE, COMPLETE, number, outcome=outcome)
                own.write(OK, COMPLETE, number, outcome=outcome)
        return result

    huey.execute = recorded_execute
