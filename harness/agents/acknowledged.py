"""What is written down of a storage with acknowledgement: of each step, the operations that it carries out at once.

Such a storage is known by its one method `perform(step) -> answer` (`harness.storages.reliable.steps`); it is told by
its shape alone, so that a storage of one's own can have it too.

A step does several things atomically, and a process of a history has one operation open at a time. So the calling
thread goes by several names, which are all one worker to the checkers (`history.columns.workers_of`):

    consumer-0/w2            what it puts, completes or hands back; with several of these in one step, the first
    consumer-0/w2/also/1, …  the others: what the end of a task hands over, what is handed back
    consumer-0/w2/next       what it asks for next
    consumer-0/w2/server, consumer-0/w2/server/1, …
                             what the server did on its own account in that step, as its answer tells: a worker of its
                             own. Leases that had run out are `requeue`; entries that became due are one
                             `read_schedule`, and an `enqueue` each.

Each operation is invoked before the call and ends after it. A claim whose answer did not come stays open as long as the
same worker asks under the same id again: it is one request, however many calls it takes. What the server did is known
only afterwards, and is given the step's own span: it happened at some moment of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from harness.agents.clock import true_time_ns
from harness.agents.errors import attempts, classify
from harness.agents.logs import Recorder, ThreadLog
from harness.agents.numbers import entry_number, number_in, number_of_entry
from harness.history import log
from harness.history.log import (
    COMPLETE,
    DEQUEUE,
    ENQUEUE,
    FAIL,
    INFO,
    INVOKE,
    OK,
    READ_SCHEDULE,
    REQUEUE,
    SCHEDULE,
)

_OUTCOMES = {name: code for code, name in enumerate(log.OUTCOMES)}
_SETTLED = {"ok": OK, "refused": FAIL}


class _Part(NamedTuple):
    """One of the operations of a step. `ended` reads off the answer how it ended."""

    f: int
    task: int
    entry: int
    ended: Callable[[Any], int]
    priority: float = 0.0
    eta: int = 0
    outcome: int = 0


def acknowledges(storage: Any) -> bool:
    """Whether everything that changes its queue goes through `perform`."""
    return hasattr(storage, "perform")


def record_perform(huey: Any, recorder: Recorder) -> None:
    """Record every step of this instance's storage from now on."""
    storage = huey.storage
    perform = storage.perform

    def recorded_perform(step: Any) -> Any:
        begun_ns = time.monotonic_ns()
        parts = [
            (part, recorder.part("also/") if lane else recorder.log, lane)
            for lane, part in enumerate(_parts(step, huey))
        ]
        for part, own, lane in parts:
            _write(own, INVOKE, part, lane)
        # Last: a worker does nothing more until what he asks for is answered.
        asking = None if step.claim is None else recorder.part("next")
        again = asking is not None and _ask(asking, step.claim)
        attempts.unanswered = 0
        try:
            answer = perform(step)
        except BaseException as error:
            type_, code = classify(error)
            for part, own, lane in parts:
                _write(own, type_, part, lane, code)
            # What is open may be asked for once more.
            if asking is not None and type_ == FAIL and not again:
                asking.open_claim = None
                asking.write(FAIL, DEQUEUE, error=code)
            raise
        in_doubt = again or attempts.unanswered > 0
        # What a task's end hands over is known before that end is, or who reads along takes the run to be done.
        for part, own, lane in reversed(parts):
            _write(own, part.ended(answer), part, lane)
        if asking is not None:
            _claimed(asking, answer, in_doubt, huey)
        if answer.returned or answer.moved:
            _by_the_server(recorder, answer, begun_ns)
        return answer

    storage.perform = recorded_perform


def _parts(step: Any, huey: Any) -> Iterator[_Part]:
    """What a step asks for, apart from the next task."""
    if step.put is not None:
        yield _put(step.put, huey, lambda answer: FAIL if answer.dropped else OK)
    settle = step.settle
    if settle is not None:
        if settle.outcome is not None:
            delivery = settle.delivery
            # The answer is of this claim, not of this attempt: refused means that no attempt of it will ever count.
            yield _Part(COMPLETE, *_of(delivery, huey), ended=_settled, outcome=_OUTCOMES[settle.outcome])
        for put in settle.puts:
            yield _put(put, huey, _settled)
        for member in getattr(settle, "members", ()):
            yield _put(member.callback, huey, _lined_up(member.callback.entry))
    for at, back in enumerate(step.back):
        yield _Part(REQUEUE, *_of(getattr(back, "delivery", back), huey), ended=_handed(at))
    if step.move:
        # Somebody looks after the schedule. What is due does not pass through his hands: it is not listed here.
        yield _Part(READ_SCHEDULE, log.NO_TASK, 0, ended=lambda answer: OK)


def _put(put: Any, huey: Any, ended: Callable[[Any], int]) -> _Part:
    task, entry = _of(put, huey)
    if put.eta_ms is None:
        return _Part(ENQUEUE, task, entry, ended, priority=put.priority)
    # The recorder's clock first: of a pause between the two readings, the eta gets earlier, never later.
    eta = time.monotonic_ns() + put.eta_ms * 1_000_000 - true_time_ns()
    return _Part(SCHEDULE, task, entry, ended, priority=put.priority, eta=eta)


def _of(one: Any, huey: Any) -> tuple[int, int]:
    """(task, entry) of a put or a delivery, in numbers."""
    task = number_of_entry(one.entry)
    return (number_in(one.message, huey) if task is None else task), entry_number(one.entry)


def _settled(answer: Any) -> int:
    return _SETTLED.get(answer.settled, INFO)


def _lined_up(callback: bytes) -> Callable[[Any], int]:
    """Only the last member of a chord lines up its callback; the others' ends enqueue nothing."""
    return lambda answer: _settled(answer) if answer.callback == callback or _settled(answer) != OK else FAIL


def _handed(at: int) -> Callable[[Any], int]:
    """A task whose lease was lost is somebody else's, and is not handed back."""
    return lambda answer: OK if answer.handed[at] else FAIL


def _write(own: ThreadLog, type: int, part: _Part, lane: int, error: int = 0) -> None:
    own.write(type, part.f, part.task, part.priority, part.eta, lane, part.entry, part.outcome, error)


def _ask(asking: ThreadLog, claim: bytes) -> bool:
    """Begin a claim. True where it is open already, since an earlier call of the same id had no answer."""
    if asking.open_claim == claim:
        return True
    if asking.open_claim is not None:
        asking.write(INFO, DEQUEUE, error=log.E_OPEN)
    asking.open_claim = claim
    asking.write(INVOKE, DEQUEUE)
    return False


def _claimed(asking: ThreadLog, answer: Any, in_doubt: bool, huey: Any) -> None:
    """End a claim that was answered."""
    asking.open_claim = None
    delivery = answer.delivery
    if delivery is not None:
        task, entry = _of(delivery, huey)
        # Who had it before may have ended with nobody hearing of it; the number says that somebody had.
        asking.write(OK, DEQUEUE, task, value=delivery.number, entry=entry)
    elif in_doubt:
        # The queue was empty for the last attempt; an earlier one may still arrive, and lease something.
        asking.write(INFO, DEQUEUE, error=log.E_TIMEOUT)
    else:
        # "Ask again" is no word on what there is.
        asking.write(FAIL, DEQUEUE, error=log.E_SERVER if answer.next_ms == 0 else log.E_NONE)


def _by_the_server(recorder: Recorder, answer: Any, begun_ns: int) -> None:
    """Leases that had run out, and entries that became due: who asked is the first to know."""
    now_ns = time.monotonic_ns()
    moved = list(_named(answer.moved))
    if moved:
        own = recorder.part("server")
        own.write(INVOKE, READ_SCHEDULE, at_ns=begun_ns)
        own.write_list(OK, READ_SCHEDULE, [task for task, _ in moved])
    told = [(REQUEUE, *one) for one in _named(entry for _, entry in answer.returned)]
    told += [(ENQUEUE, *one) for one in moved]
    own = recorder.part("server/")
    for type_, at_ns in ((INVOKE, begun_ns), (OK, now_ns)):
        for lane, (f, task, entry) in enumerate(told, 1):
            own.write(type_, f, task, value=lane, entry=entry, at_ns=at_ns)


def _named(entries: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """(task, entry) of those whose id says which task they are of; a record cannot name the others."""
    for entry in entries:
        task = number_of_entry(entry)
        if task is not None:
            yield task, entry_number(entry)
