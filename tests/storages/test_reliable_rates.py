"""A rate limit lets no more pass in a window than are to, whoever asks, and whenever he read the clock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from huey import RedisHuey
from huey.exceptions import RateLimitExceeded

from harness.storages.reliable import rates

from .reliable import new_queue, run_next
from .servers import Standalone

pytestmark = pytest.mark.cluster


@pytest.fixture
def huey(standalone: Standalone) -> Any:
    return new_queue(standalone)


class Clock:
    """The time as who asks reads it."""

    now_s = 1000.0

    def time(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rates, "time", clock)
    return clock


def passes(limiter: Any) -> bool:
    try:
        limiter.acquire()
    except RateLimitExceeded:
        return False
    return True


def test_so_many_pass_in_each_window(huey: Any, clock: Clock) -> None:
    limiter = huey.rate_limit("a", 2, 60)
    clock.now_s = 1015.0
    assert [passes(limiter) for _ in range(3)] == [True, True, False]
    assert passes(huey.rate_limit("b", 2, 60))
    with pytest.raises(RateLimitExceeded) as refused:
        limiter.acquire()
    assert (refused.value.delay, refused.value.retry) == (5.0, True)
    clock.now_s = 1020.0
    assert [passes(limiter) for _ in range(3)] == [True, True, False]


def test_who_comes_late_does_not_turn_the_window_back(huey: Any, clock: Clock) -> None:
    limiter = huey.rate_limit("a", 2, 60)
    clock.now_s = 1020.0
    assert passes(limiter)
    clock.now_s = 1019.9
    assert [passes(limiter) for _ in range(2)] == [True, False]
    clock.now_s = 1020.1
    assert not passes(limiter)


def test_of_many_who_ask_at_once_so_many_pass(huey: Any, clock: Clock) -> None:
    limiter = huey.rate_limit("a", 10, 3600)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: passes(limiter), range(60))) == 10


def test_it_counts_where_stock_huey_does(huey: Any, standalone: Standalone, clock: Clock) -> None:
    stock = RedisHuey(huey.name, **standalone.where)
    limiter = huey.rate_limit("a", 2, 1_000_000_000)
    assert passes(limiter)
    theirs = stock.rate_limit("a", 2, 1_000_000_000)
    assert theirs.current_usage() == limiter.current_usage() == 1
    limiter.reset()
    assert [passes(limiter) for _ in range(3)] == [True, True, False]


def test_a_task_over_the_limit_is_tried_again_in_the_next_window(huey: Any, clock: Clock) -> None:
    done = []

    @huey.task()
    @huey.rate_limit("a", 1, 60)
    def limited(number: int) -> None:
        done.append(number)

    limited(1), limited(2)
    run_next(huey)
    run_next(huey)
    assert (done, huey.scheduled_count()) == ([1], 1)
