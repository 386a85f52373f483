"""Locks have an owner, and end with him."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from huey import RedisHuey
from huey.exceptions import TaskLockedException

from harness.storages import ReliableRedisHuey

from .reliable import claim, expire, long_due, new_queue, remains, run_next
from .servers import Standalone, eventually

pytestmark = pytest.mark.cluster


@pytest.fixture
def huey(standalone: Standalone) -> Any:
    return new_queue(standalone)


def expire_owner(huey: Any) -> None:
    """Let the lease of the one owner have run out long ago."""
    ((owner, _),) = huey.storage.conn.zrange(huey.storage.keys.leases, 0, -1, withscores=True)
    long_due(huey.storage, huey.storage.keys.leases, owner)


def test_one_at_a_time_and_released_at_the_end(huey: Any) -> None:
    lock = huey.lock_task("a")
    with lock:
        assert lock.is_locked() and huey.is_locked("a") and not huey.is_locked("b")
        for other in (lock, huey.lock_task("a")):
            with pytest.raises(TaskLockedException, match="unable to acquire lock a"):
                other.acquire()
        with huey.lock_task("b"):
            assert huey.is_locked("b")
    assert not huey.is_locked("a") and not huey.is_locked("b")
    assert remains(huey.storage) == {}
    with lock:
        assert huey.is_locked("a")
    assert huey.result_count() == 0


def test_of_a_task_it_ends_with_its_lease(huey: Any) -> None:
    seen = []

    @huey.task()
    def careless() -> None:
        lock = huey.lock_task("a")
        lock.acquire()
        seen.append(lock.is_locked())
        if len(seen) == 1:
            raise KeyboardInterrupt

    careless()
    run_next(huey)  # handed back: it does not lock itself out
    run_next(huey)
    assert (seen, huey.is_locked("a")) == ([True, True], False)


def test_of_a_task_that_was_lost_it_ends_when_somebody_else_has_the_task(huey: Any) -> None:
    locked = []

    @huey.task()
    @huey.lock_task("a")
    def work() -> None:
        (held,) = huey.storage.held_here()
        expire(huey.storage, held)
        # Late as it is, the task may still be completed: nobody may work beside it.
        with pytest.raises(TaskLockedException):
            huey.lock_task("a").acquire()
        assert claim(huey.storage) is not None
        assert not huey.is_locked("a")
        # Who has lost his task gets no lock.
        with pytest.raises(TaskLockedException):
            huey.lock_task("b").acquire()
        locked.append("neither")

    work()
    run_next(huey)
    assert (locked, huey.refused) == (["neither"], 1)


def test_a_task_that_has_lost_its_lease_gets_no_locks(huey: Any) -> None:
    tried = []

    @huey.task()
    def work() -> None:
        if not tried:
            (held,) = huey.storage.held_here()
            expire(huey.storage, held)
            huey.storage.move_due()
            with pytest.raises(TaskLockedException):
                huey.lock_task("a").acquire()
        tried.append(huey.is_locked("a"))

    work()
    run_next(huey)
    run_next(huey)
    assert (tried, huey.refused) == ([False, False], 1)


def test_who_lost_it_does_not_release_anothers(huey: Any) -> None:
    lock = huey.lock_task("a")
    lock.__enter__()
    huey.lock_task("a").clear()
    with huey.lock_task("a"):
        lock.__exit__(None, None, None)
        assert huey.is_locked("a")


def test_outside_of_a_task_it_is_renewed_and_ends_with_its_process(standalone: Standalone) -> None:
    huey = new_queue(standalone, lease_s=1)
    other = ReliableRedisHuey(huey.name, **standalone.where)
    with huey.lock_task("a"):
        ((owner, first_ms),) = huey.storage.conn.zrange(huey.storage.keys.leases, 0, -1, withscores=True)
        eventually(
            "renewed often enough",
            lambda: huey.storage.conn.zscore(huey.storage.keys.leases, owner) > first_ms + 1000,
            10,
        )
        assert other.is_locked("a")
        # As if the process were gone: nobody renews it.
        huey.storage.renewal.drop(owner)
        expire_owner(huey)
        with other.lock_task("a"):
            assert huey.is_locked("a")
        assert not huey.is_locked("a")
    assert remains(huey.storage) == {}


def test_a_lock_of_which_nobody_lives_is_forgotten_by_the_next_step(huey: Any) -> None:
    huey.lock_task("a").acquire()
    expire_owner(huey)
    assert claim(huey.storage) is None
    assert remains(huey.storage) == {}
    assert not huey.is_locked("a")


def test_a_lifetime(huey: Any) -> None:
    with huey.lock_task("a", ttl=0.05):
        eventually("the lock's time is over", lambda: not huey.is_locked("a"), 5)
        with huey.lock_task("a", ttl=60):
            assert huey.is_locked("a")
    with huey.lock_task("a", ttl=60):
        assert huey.is_locked("a")


def test_as_a_decorator_each_thread_has_its_own(huey: Any) -> None:
    inside, release = threading.Event(), threading.Event()
    refused = []

    @huey.lock_task("a")
    def guarded() -> None:
        inside.set()
        assert release.wait(10)

    thread = threading.Thread(target=guarded)
    thread.start()
    assert inside.wait(10)
    try:
        guarded()
    except TaskLockedException:
        refused.append(True)
    release.set()
    thread.join(10)
    guarded()
    assert (refused, huey.is_locked("a"), remains(huey.storage)) == ([True], False, {})


@pytest.mark.parametrize("way", ["clear", "release"])
def test_by_hand(huey: Any, way: str) -> None:
    lock = huey.lock_task("a")
    assert lock.acquire()
    getattr(lock, way)()
    assert not lock.is_locked()
    # Nobody renews what nobody has.
    assert list(huey.storage.renewal._held) == []
    assert lock.acquire()
    assert huey.flush_locks() == {"a"}
    assert not lock.is_locked()


def test_stock_and_ours_see_each_others(standalone: Standalone, huey: Any) -> None:
    stock = RedisHuey(huey.name, **standalone.where)
    with huey.lock_task("a"), pytest.raises(TaskLockedException):
        stock.lock_task("a").acquire()
    with stock.lock_task("a"):
        assert huey.is_locked("a")
        with pytest.raises(TaskLockedException):
            huey.lock_task("a").acquire()
    with huey.lock_task("a"):
        pass
