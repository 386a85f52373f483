"""What Huey does at the end of a task, on a real server: handed over with that end, once, or not at all."""

from __future__ import annotations

import contextlib
import datetime
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from huey import CancelExecution, PriorityRedisHuey, chord, crontab
from huey.api import MemoryStorage
from huey.exceptions import RetryTask, TaskException
from huey.utils import SKIPPED, Error

from harness.storages import ReliableRedisHuey
from harness.storages.reliable import SIGNAL_DEAD, SIGNAL_REFUSED
from harness.storages.reliable.consumer import ReliableScheduler
from harness.storages.reliable.steps import Settle, Step, unseal

from .reliable import expire, long_due, must_claim, new_queue, put, remains, run_all, run_next, steps_of
from .servers import Standalone

pytestmark = pytest.mark.cluster


@pytest.fixture
def huey(standalone: Standalone) -> Any:
    return new_queue(standalone)


@contextlib.contextmanager
def seen_before_and_after_the_end(huey: Any, look: Callable[[], Any]) -> Iterator[list[Any]]:
    """What a look at the server shows right before and right after the step that ends a task."""
    seen: list[Any] = []
    perform = huey.storage.perform

    def watched(step: Step) -> Any:
        if step.settle is None:
            return perform(step)
        seen.append(look())
        answer = perform(step)
        seen.append(look())
        return answer

    huey.storage.perform = watched
    try:
        yield seen
    finally:
        huey.storage.perform = perform


def sizes(huey: Any) -> tuple[int, int, int]:
    """Queued, scheduled, results."""
    return huey.pending_count(), huey.scheduled_count(), huey.result_count()


def take_by_another(standalone: Standalone, huey: Any) -> Any:
    """A second process' Huey with the same tasks, which has just leased the one task, whose lease had run out."""
    other = ReliableRedisHuey(huey.name, **standalone.where, read_timeout=0.05)
    other._registry = huey._registry
    (delivery,) = huey.storage.held_here()
    expire(huey.storage, delivery)
    other.taken = other.dequeue()
    assert other.taken is not None
    return other


# ------------------------------------------------------------ the end of a task


def test_result_successor_and_end_in_one_step(huey: Any) -> None:
    @huey.task()
    def double(number: int) -> int:
        return 2 * number

    result = huey.enqueue(double.s(1).then(double))
    with seen_before_and_after_the_end(huey, lambda: sizes(huey)) as seen, steps_of(huey.storage) as steps:
        assert run_next(huey) == 2
    assert seen == [(0, 0, 0), (1, 0, 1)]
    assert len(steps) == 2
    run_next(huey)
    assert result.get() == [2, 4]
    assert remains(huey.storage) == {}
    assert huey.storage.held_here() == ()


@pytest.mark.parametrize("delay", [0, 60])
def test_retry_and_end_in_one_step(huey: Any, delay: int) -> None:
    @huey.task(retries=1, retry_delay=delay)
    def fail() -> None:
        raise ValueError("as it should")

    handler_got = []

    @huey.task()
    def handle(error: Exception) -> None:
        handler_got.append(str(error))

    result = fail.s().error(handle)
    huey.enqueue(result)
    with seen_before_and_after_the_end(huey, lambda: sizes(huey)[:2]) as seen:
        run_next(huey)
    # The retry, and the handler of the intermediate error.
    assert seen == [(0, 0), (1, 1) if delay else (2, 0)]
    run_all(huey)
    assert handler_got == ["as it should"] * (1 if delay else 2)
    assert huey.scheduled_count() == (1 if delay else 0)


def test_a_retry_with_backoff_keeps_its_state_and_is_a_new_entry(huey: Any) -> None:
    @huey.task(retries=3, retry_delay=60, retry_backoff=2)
    def fail() -> None:
        raise ValueError

    fail()
    run_next(huey)
    (again,) = huey.scheduled()
    assert (again.retries, again.retry_delay) == (2, 120)
    assert huey.storage.done_entries() != []


@pytest.mark.parametrize(
    ("settings", "body", "outcome"),
    [
        ({}, lambda: None, "done"),
        ({}, lambda: 1 / 0, "failed"),
        ({"retries": 1}, lambda: 1 / 0, None),
        ({"retries": 1, "retry_delay": 9}, lambda: 1 / 0, None),
        ({}, lambda: (_ for _ in ()).throw(RetryTask(delay=9)), None),
        ({}, lambda: (_ for _ in ()).throw(CancelExecution()), "cancelled"),
        ({}, lambda: (_ for _ in ()).throw(CancelExecution(retry=True)), None),
        ({"expires": datetime.datetime(2000, 1, 1)}, lambda: None, "expired"),
    ],
)
def test_outcomes(huey: Any, settings: dict[str, Any], body: Callable[[], Any], outcome: str | None) -> None:
    huey.task(name="t", **settings)(body)()
    with steps_of(huey.storage) as steps:
        run_next(huey)
    assert [step.settle.outcome for step in steps if step.settle is not None] == [outcome]


def test_more_outcomes(huey: Any) -> None:
    @huey.task()
    def plain() -> None:
        pass

    @huey.task()
    @huey.rate_limit("limit", limit=0, per=60, retry=False)
    def limited() -> None:
        pass

    @huey.task(timeout=0.001, context=True)
    def slow(task: Any) -> None:
        time.sleep(0.002)
        task.check_timeout()

    locked = huey.task(name="locked")(huey.lock_task("lock")(lambda: None))
    plain().revoke()
    plain.schedule(delay=60)
    for one in (limited, slow, locked):
        one()
    with huey.lock_task("lock"), steps_of(huey.storage) as steps:
        assert run_all(huey) == 5
    outcomes = [step.settle.outcome for step in steps if step.settle is not None]
    assert outcomes == ["revoked", None, "failed", "failed", "failed"]

    @huey.pre_execute()
    def cancel(task: Any) -> None:
        raise CancelExecution

    plain()
    with steps_of(huey.storage) as steps:
        run_next(huey)
    assert [step.settle.outcome for step in steps if step.settle is not None] == ["cancelled"]


def test_a_task_that_ends_its_worker_counts(huey: Any) -> None:
    """Or a task that always does so would end one worker after the other, for ever."""

    @huey.task()
    def leave() -> None:
        raise SystemExit(3)

    leave()
    for _ in range(5):
        with pytest.raises(SystemExit):
            run_next(huey)
    run_next(huey)
    (letter,) = huey.dead_letters()
    assert letter.deliveries == 6 and "SystemExit: 3" in letter.errors[0]


def test_an_interrupted_task_goes_back_uncounted(huey: Any) -> None:
    started = []

    @huey.task()
    def interrupted() -> str:
        started.append(huey.current_fence())
        if len(started) == 1:
            raise KeyboardInterrupt
        return "done"

    result = interrupted()
    assert run_next(huey) is None
    assert huey.pending_count() == 1
    assert run_next(huey) == "done"
    assert result() == "done" and started[0] < started[1]
    assert huey.refused == 0


def test_what_a_task_itself_does_takes_effect_at_once(huey: Any) -> None:
    seen = []

    @huey.task()
    def inner() -> None:
        pass

    @huey.task()
    def outer() -> None:
        inner()
        inner.schedule(delay=60)
        huey.put("key", 1)
        inner.schedule(delay=0)
        seen.append((huey.pending_count(), huey.get("key", peek=True)))

    outer()
    run_next(huey)
    assert seen == [(3, 1)]


def test_hooks_at_the_end_see_the_result_and_join_the_step(huey: Any) -> None:
    @huey.task()
    def inner() -> None:
        pass

    @huey.task()
    def outer() -> int:
        return 3

    seen = []

    @huey.post_execute()
    def hook(task: Any, value: Any, error: Any) -> None:
        if task.name == "outer":
            seen.append(huey.result(task.id, preserve=True))
            inner()

    result = outer()
    with seen_before_and_after_the_end(huey, lambda: sizes(huey)[:2]) as looks:
        run_next(huey)
    assert (seen, looks, result()) == ([3], [(0, 0), (1, 0)], 3)


def test_where_a_task_is_and_its_fence(huey: Any) -> None:
    fences = []

    @huey.task()
    def fenced() -> None:
        fences.append(huey.current_fence())

    with pytest.raises(RuntimeError, match="inside of a task"):
        huey.current_fence()
    fenced()
    fenced()
    run_all(huey)
    assert fences[0] < fences[1]
    with pytest.raises(RuntimeError):
        huey.current_fence()


# ------------------------------------------------------------ who has lost the task


def test_the_end_of_a_zombie_is_refused_counted_and_signalled(standalone: Standalone, huey: Any) -> None:
    signals = []

    @huey.signal(SIGNAL_REFUSED)
    def refused(signal: str, task: Any) -> None:
        signals.append(task.args)

    others: list[Any] = []

    @huey.task()
    def work(number: int) -> int:
        if not others:
            others.append(take_by_another(standalone, huey))
            return -1
        return number

    result = huey.enqueue(work.s(7).then(work))
    run_next(huey)
    assert (huey.refused, signals) == (1, [(7,)])
    assert sizes(huey) == (0, 0, 0)
    (other,) = others
    assert other.execute(other.taken) == 7
    assert (other.refused, result[0], other.pending_count()) == (0, 7, 1)


# ------------------------------------------------------------ chords


def chord_of(huey: Any, **callback_settings: Any) -> tuple[Any, Any, list[Any]]:
    """A member that returns or raises what it is told, a callback, and what callbacks were called with."""
    calls: list[Any] = []

    @huey.task()
    def member(what: Any) -> Any:
        if isinstance(what, Exception):
            raise what
        return what

    @huey.task(**callback_settings)
    def collect(values: list[Any]) -> int:
        calls.append(values)
        return len(values)

    return member, collect, calls


def test_a_chords_callback_sees_every_value_in_order(huey: Any) -> None:
    member, collect, calls = chord_of(huey)
    members = [member.s(what, priority=index) for index, what in enumerate(["", None, ValueError("no"), 4, 5])]
    result = huey.enqueue(chord(members, collect))
    result.results._results[4].revoke()
    with seen_before_and_after_the_end(huey, lambda: huey.pending_count()) as seen:
        assert run_all(huey) == 6
    assert seen == [4, 4, 3, 3, 2, 2, 1, 1, 0, 1, 0, 0]
    ((first, second, failed, fourth, skipped),) = calls
    assert (first, second, fourth, skipped) == ("", None, 4, SKIPPED)
    assert isinstance(failed, Error) and "no" in failed.metadata["error"]
    assert result.get() == 5
    assert remains(huey.storage) == {}


def test_a_redelivered_member_counts_once(standalone: Standalone, huey: Any) -> None:
    member, collect, calls = chord_of(huey)
    others: list[Any] = []

    @huey.task()
    def lost() -> str:
        if not others:
            others.append(take_by_another(standalone, huey))
            return "of the zombie"
        return "of the heir"

    huey.enqueue(chord([lost.s(), member.s(2)], collect))
    run_next(huey)
    (other,) = others
    assert (huey.refused, calls) == (1, [])
    other.execute(other.taken)
    run_all(huey)
    assert calls == [["of the heir", 2]]
    assert remains(huey.storage) == {}


def test_a_callback_that_is_redelivered_or_retried_sees_the_same_values(huey: Any) -> None:
    member, _, calls = chord_of(huey)
    tell: list[Exception] = [ValueError("once")]

    @huey.task(retries=1)
    def picky(values: list[Any], more: str) -> int:
        calls.append((values, more))
        if tell:
            raise tell.pop()
        return len(values)

    result = huey.enqueue(chord([member.s(1), member.s(2)], picky.s(more="kept")))
    run_next(huey)
    run_next(huey)
    lost = huey.dequeue()
    expire(huey.storage, lost._delivery)
    huey.storage._drop(lost._delivery)
    assert run_all(huey) == 2
    assert calls == [([1, 2], "kept")] * 2
    assert result.get() == 2
    assert remains(huey.storage) == {}


def test_a_dead_callback_still_has_its_values(huey: Any) -> None:
    member, collect, calls = chord_of(huey)
    for fate in (huey.retry_dead, huey.drop_dead):
        callback = collect.s()
        huey.enqueue(chord([member.s(1), member.s(2)], callback))
        run_next(huey)
        run_next(huey)
        settled = huey.storage.settle(Settle(must_claim(huey.storage), "dead", error="enough"))
        assert settled.settled == "ok"
        assert fate(callback.id)
        run_all(huey)
        assert calls == [[1, 2]]
        assert remains(huey.storage) == {}


def test_a_callback_expires_from_when_it_is_lined_up(huey: Any) -> None:
    member, collect, calls = chord_of(huey, expires=60)
    huey.enqueue(chord([member.s(1)], collect))
    run_next(huey)
    task = huey.dequeue()
    assert task.expires_resolved is not None
    huey.execute(task, timestamp=datetime.datetime(2096, 1, 1))
    assert calls == []
    assert remains(huey.storage) == {}


def test_a_chord_in_a_chord_and_a_pipeline_as_a_member(huey: Any) -> None:
    member, collect, _ = chord_of(huey)
    inner = chord([member.s(1), member.s(2)], collect.s())
    pipeline = member.s(3).then(collect.s())  # called with 3 alone, which has no length

    @huey.task()
    def total(values: list[Any]) -> list[Any]:
        return values

    result = huey.enqueue(chord([inner, pipeline, member.s(9)], total))
    run_all(huey)
    two, failed, nine = result.get()
    assert (two, nine) == (2, 9) and isinstance(failed, Error)
    assert remains(huey.storage) == {}


# ------------------------------------------------------------ given up


def test_a_task_that_is_given_up_tells_all_who_wait_for_it(huey: Any) -> None:
    told: list[Any] = []
    signals: list[str] = []
    huey.signal(SIGNAL_DEAD)(lambda signal, task: signals.append(task.id))

    @huey.task()
    def deadly() -> int:
        return 1

    @huey.task()
    def handle(error: Exception) -> None:
        told.append(str(error))

    member, collect, calls = chord_of(huey)
    task = deadly.s().error(handle)
    result = huey.enqueue(chord([task, member.s(2)], collect))
    for number in range(1, 6):
        lost = huey.dequeue()
        assert (lost.id, lost._delivery.number) == (task.id, number)
        expire(huey.storage, lost._delivery)
        huey.storage._drop(lost._delivery)
    run_all(huey)
    assert (told, signals) == (["given up after 5 deliveries"], [task.id])
    with pytest.raises(TaskException, match="given up after 5 deliveries"):
        result.results._results[0].get()
    (values,) = calls
    assert isinstance(values[0], Error) and values[1] == 2
    (letter,) = huey.dead_letters()
    assert (letter.id, letter.deliveries) == (task.id, 6)
    assert letter.errors[-1] == "6: given up after 5 deliveries"
    assert huey.deserialize_task(letter.message).name == "deadly"
    assert (huey.retry_dead("nobody"), huey.retry_dead(task.id), run_next(huey)) == (False, True, 1)
    assert huey.dead_letters() == []


class Gone:
    """Cannot be unpickled."""

    def __reduce__(self) -> Any:
        return (pickle.loads, (b"no pickle",))


def test_a_message_that_cannot_be_read_comes_again_later(huey: Any) -> None:
    @huey.task()
    def fine(what: Any) -> None:
        pass

    fine(Gone())
    for expected_s in (5, 10):
        with pytest.raises(pickle.UnpicklingError):
            huey.dequeue()
        ((entry, eta_ms),) = huey.storage.conn.zrange(huey.storage.keys.schedule, 0, -1, withscores=True)
        assert eta_ms / 1000 - time.time() == pytest.approx(expected_s, abs=1)
        long_due(huey.storage, huey.storage.keys.schedule, entry)


def test_a_message_that_cannot_be_read_is_tried_then_kept(huey: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.storages.reliable.huey.ReliableHuey.unread_delay_s", 0)

    @huey.task()
    def fine(what: Any) -> None:
        pass

    fine(Gone())
    fine(1)
    for _ in range(5):
        with pytest.raises(pickle.UnpicklingError):
            huey.dequeue()
    (letter,) = huey.dead_letters()
    assert letter.deliveries == 5
    assert all("cannot be read: UnpicklingError" in error for error in letter.errors)
    assert run_all(huey) == 1
    assert unseal(letter.message).task_id.decode() == letter.id
    assert huey.drop_dead(letter.id)
    assert remains(huey.storage) == {}


def test_a_message_without_our_header(standalone: Standalone, huey: Any) -> None:
    """Of a stock storage: it says neither its priority nor what revokes it."""

    @huey.task(retries=1)
    def stock(number: int) -> int:
        return 6 // number

    def message_of(number: int) -> tuple[Any, bytes]:
        task = stock.s(number)
        return task, PriorityRedisHuey.serialize_task(huey, task)

    (task, message), (revoked, other), (failing, third) = (message_of(number) for number in (2, 1, 0))
    for one in (message, other, third):
        huey.storage.enqueue(one)
    huey.revoke(revoked)
    assert [one.args for one in huey.pending()] == [(2,), (1,), (0,)]
    assert run_next(huey) == 3
    assert run_next(huey) is None
    run_next(huey)
    assert huey.result(task.id) == 3
    assert run_all(huey) == 1
    with pytest.raises(TaskException, match="ZeroDivision"):
        huey.result(failing.id)
    assert remains(huey.storage) == {}


# ------------------------------------------------------------ periodic tasks


def scheduler_of(huey: Any) -> ReliableScheduler:
    return ReliableScheduler(huey, None, 1, True)


def test_a_scheduler_moves_what_is_due_in_one_step(huey: Any) -> None:
    """It has nothing in hand at any time: its end loses nothing."""
    due = put(huey.storage, "due", 2, eta_ms=1)
    stopped = threading.Event()
    stopped.set()
    scheduler = ReliableScheduler(huey, stopped, 1, False)
    scheduler._next_loop = time.monotonic() + 60
    with steps_of(huey.storage) as steps:
        scheduler.loop()
    assert steps == [Step(move=True)]
    assert must_claim(huey.storage).entry == due.entry


def test_a_periodic_task_runs_once_a_period_however_many_schedulers(standalone: Standalone, huey: Any) -> None:
    ran = []

    @huey.periodic_task(crontab())
    def often() -> None:
        ran.append("often")

    @huey.periodic_task(crontab(minute="5"))
    def hourly() -> None:
        ran.append("hourly")

    other = ReliableRedisHuey(huey.name, **standalone.where, read_timeout=0.05)
    other._registry = huey._registry
    at = datetime.datetime(2025, 1, 1, 12, 4, 58)
    for seconds, hueys in ((0, [huey, other]), (1, [huey]), (2, [other, huey, huey]), (62, [other])):
        for one in hueys:
            # A new scheduler each time: one that was started again.
            scheduler_of(one).enqueue_periodic_tasks(at + datetime.timedelta(seconds=seconds))
    run_all(huey)
    assert ran == ["often", "often", "hourly", "often"]


def test_what_is_enqueued_while_a_periodic_task_is_is_not_taken_for_it(huey: Any) -> None:
    @huey.task()
    def other() -> None:
        pass

    @huey.periodic_task(crontab())
    def often() -> None:
        pass

    @huey.signal("enqueued")
    def receiver(signal: str, task: Any) -> None:
        if task.name == "often":
            other()

    at = datetime.datetime(2025, 1, 1, 12, 4)
    for _ in range(2):
        scheduler_of(huey).enqueue_periodic_tasks(at)
    assert [task.name for task in huey.pending()] == ["other", "often", "other"]


# ------------------------------------------------------------ Huey's options


def test_without_results(standalone: Standalone) -> None:
    huey = new_queue(standalone, results=False)

    @huey.task()
    def one() -> int:
        return 1

    assert one() is None
    assert run_next(huey) == 1
    assert (huey.result_count(), remains(huey.storage)) == (0, {})


@pytest.mark.parametrize("store_none", [False, True])
def test_store_none(standalone: Standalone, store_none: bool) -> None:
    huey = new_queue(standalone, store_none=store_none)

    @huey.task()
    def nothing() -> None:
        pass

    nothing()
    run_next(huey)
    assert huey.result_count() == store_none


def test_notify_result(standalone: Standalone) -> None:
    huey = new_queue(standalone, notify_result=True, notify_result_ttl=30)

    @huey.task()
    def one() -> int:
        return 1

    result = huey.enqueue(one.s().then(one.s(id="second")).error(one))
    run_next(huey)
    key = f"{huey.storage.notify_prefix}{result._results[0].id}"
    assert (huey.storage.conn.llen(key), 0 < huey.storage.conn.ttl(key) <= 30) == (1, True)
    assert result._results[0].get(blocking=True, timeout=5) == 1


@pytest.mark.parametrize("utc", [True, False])
def test_times_are_utc_or_local_as_huey_has_it(standalone: Standalone, utc: bool, monkeypatch: Any) -> None:
    monkeypatch.setenv("TZ", "America/St_Johns")
    time.tzset()
    try:
        huey = new_queue(standalone, utc=utc)

        @huey.task(retries=1, retry_delay=100)
        def fail() -> None:
            raise ValueError

        fail()
        run_next(huey)
        ((_, eta_ms),) = huey.storage.conn.zrange(huey.storage.keys.schedule, 0, -1, withscores=True)
        assert 95 < eta_ms / 1000 - time.time() < 105
    finally:
        monkeypatch.undo()
        time.tzset()


def test_immediate_mode() -> None:
    """With memory, as by default: no server is asked. Port 1 is nobody's."""
    huey = ReliableRedisHuey("immediate", immediate=True, host="127.0.0.1", port=1)
    assert isinstance(huey.storage, MemoryStorage)
    member, collect, calls = chord_of(huey)

    @huey.task()
    @huey.lock_task("lock")
    def locked() -> bool:
        return bool(huey.is_locked("lock"))

    assert locked()() is True
    huey.enqueue(chord([member.s(1), member.s(2)], collect))
    assert (calls, member.s(5).then(member).on_complete.name) == ([[1, 2]], "member")
    huey.notify_interrupted_tasks()


def test_immediate_mode_on_the_server(standalone: Standalone) -> None:
    huey = new_queue(standalone, immediate=True, immediate_use_memory=False)
    member, collect, calls = chord_of(huey)

    @huey.task()
    @huey.lock_task("lock")
    def locked() -> bool:
        return bool(huey.is_locked("lock"))

    assert locked()() is True
    assert huey.enqueue(chord([member.s(1), member.s(2)], collect)).get() == 2
    assert (calls, remains(huey.storage)) == ([[1, 2]], {})
    huey.immediate = False
    member(3)
    assert run_next(huey) == 3


def test_a_huey_that_knows_nothing_of_leases(standalone: Standalone) -> None:
    """Huey itself on one of our storages: it takes a message and never says that it is done. No harm is in that."""
    from huey import Huey

    from harness.storages.reliable import ReliableRedisStorage

    huey = Huey("plain", storage_class=ReliableRedisStorage, **standalone.where, read_timeout=0.05)

    @huey.task()
    def one() -> int:
        return 1

    result = one()
    assert run_next(huey) == 1
    assert (result(), remains(huey.storage)) == (1, {})


# ------------------------------------------------------------ whose clock


@pytest.mark.parametrize("hours", [2, -2])
def test_a_task_is_due_by_the_servers_clock_not_by_the_workers(
    huey: Any, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    @huey.task()
    def note(what: str) -> None:
        ran.append(what)

    now = datetime.datetime.now(datetime.UTC)
    note.schedule(("in an hour",), eta=now + datetime.timedelta(hours=1))
    note.schedule(("an hour ago",), eta=now - datetime.timedelta(hours=1))
    wrong = (now + datetime.timedelta(hours=hours)).replace(tzinfo=None)
    monkeypatch.setattr(huey, "_get_timestamp", lambda: wrong)
    monkeypatch.setattr(time, "time", lambda: wrong.replace(tzinfo=datetime.UTC).timestamp())
    assert run_all(huey) == 2
    assert ran == ["an hour ago"]
    assert huey.storage.schedule_size() == 1


def test_nothing_is_due_before_its_microsecond(huey: Any) -> None:
    """Workers go by the server's clock, in whole ms: a time that was cut off would be looked at twice."""
    eta = datetime.datetime(2096, 1, 1, microsecond=123_001)
    huey.storage.add_to_schedule(b"x", eta)
    ((_, due_ms),) = huey.storage.conn.zrange(huey.storage.keys.schedule, 0, -1, withscores=True)
    assert due_ms == huey.storage.epoch_ms(eta.replace(microsecond=0)) + 124
