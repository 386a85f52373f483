"""From storages without acknowledgement to the reliable ones: with a full queue, and while both run."""

from __future__ import annotations

import collections
import datetime
import threading
import time
from typing import Any

import pytest
from huey import PriorityRedisHuey, RedisHuey

import harness.storages

from .reliable import remains, run_all
from .servers import Cluster, SentinelSet, Standalone, eventually
from .work import consuming

pytestmark = pytest.mark.cluster
FAMILIES = ["Redis", "Sentinel", "Cluster"]


def hueys(request: pytest.FixtureRequest, family: str, kind: str, name: str, **options: Any) -> tuple[Any, Any]:
    """A Huey as people have it today, and a reliable one of the same name."""
    if family == "Redis":
        standalone: Standalone = request.getfixturevalue("standalone")
        where, stock = standalone.where, {"Redis": RedisHuey, "PriorityRedis": PriorityRedisHuey}[kind]
    else:
        stock = getattr(harness.storages, f"{kind}{family}Huey")
        if family == "Sentinel":
            sentinel: SentinelSet = request.getfixturevalue("sentinel")
            where = {"sentinels": sentinel.sentinels, "service_name": sentinel.service_name}
        else:
            cluster: Cluster = request.getfixturevalue("cluster")
            where = {"startup_nodes": cluster.startup_nodes}
    reliable = getattr(harness.storages, f"Reliable{family}Huey")
    options = {"read_timeout": 0.1, **options}
    found = stock(name, **where, **options), reliable(name, **where, **options)
    for huey in found:
        huey.flush()
    return found


def task_of(huey: Any, ran: list[Any], as_name: str = "ran") -> Any:
    """A task that both know by the same name. It notes what it was called with, and who ran it."""

    @huey.task(name="note")
    def note(number: int) -> int:
        ran.append((number, as_name))
        return number

    return note


@pytest.mark.parametrize("kind", ["Redis", "PriorityRedis"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_queue_that_is_not_empty_is_taken_over_in_its_order(
    request: pytest.FixtureRequest, family: str, kind: str
) -> None:
    stock, reliable = hueys(request, family, kind, f"full{kind}")
    ran: list[Any] = []
    note, _ = task_of(stock, ran), task_of(reliable, ran)
    priorities = [0, 3, -1, 0, 3, 0.5] if kind == "PriorityRedis" else [None] * 6
    results = [stock.enqueue(note.s(number, priority=priority)) for number, priority in enumerate(priorities)]
    order = [task.args[0] for task in stock.pending()]
    later = [
        note.s(number, delay=delay_s, priority=priority if kind == "PriorityRedis" else None)
        for number, delay_s, priority in ((10, 3600, 0), (11, -20, 0), (12, -10, 7))
    ]
    for task in later:
        stock.add_schedule(task)
    results[order[2]].revoke()

    assert reliable.storage.adopt() == 9
    assert reliable.storage.adopt() == 0
    assert (stock.pending_count(), stock.scheduled_count()) == (0, 0)
    assert [task.args[0] for task in reliable.pending()] == order
    assert [task.args[0] for task in reliable.scheduled()] == [11, 12, 10]
    assert [(one.id, one.eta) for one in reliable.scheduled()] == [(later[i].id, later[i].eta) for i in (1, 2, 0)]

    run_all(reliable)
    # What is due comes in with the first step, behind what is there, but for its priority.
    priority_of = dict(enumerate(priorities)) | ({12: 7} if kind == "PriorityRedis" else {})
    expected = sorted([*order, 11, 12], key=lambda number: -(priority_of.get(number) or 0))
    expected.remove(order[2])
    assert [number for number, _ in ran] == expected
    assert {result() for result in results} == {*range(6), None} - {order[2]}
    assert remains(reliable.storage) == {"schedule": 1, "entries": 1}


@pytest.mark.parametrize("utc", [True, False])
def test_scheduled_times_stay_what_they_are(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, utc: bool
) -> None:
    monkeypatch.setenv("TZ", "America/St_Johns")
    time.tzset()
    try:
        stock, reliable = hueys(request, "Redis", "Redis", "times", utc=utc)
        note, _ = task_of(stock, []), task_of(reliable, [])
        stock.add_schedule(note.s(1, delay=100))
        reliable.storage.adopt()
        ((_, eta_ms),) = reliable.storage.conn.zrange(reliable.storage.keys.schedule, 0, -1, withscores=True)
        assert 95 < eta_ms / 1000 - time.time() < 105
    finally:
        monkeypatch.undo()
        time.tzset()


def test_more_than_comes_over_at_once(request: pytest.FixtureRequest) -> None:
    stock, reliable = hueys(request, "Redis", "Redis", "many")
    pipe = stock.storage.conn.pipeline()
    for number in range(2500):
        pipe.lpush(stock.storage.queue_key, b"%d" % number)
    pipe.execute()
    assert [reliable.storage.adopt() for _ in range(4)] == [1000, 1000, 500, 0]
    assert reliable.storage.enqueued_items() == [b"%d" % number for number in range(2500)]
    reliable.flush()


def test_what_cannot_be_read_comes_over_all_the_same(request: pytest.FixtureRequest) -> None:
    stock, reliable = hueys(request, "Redis", "Redis", "unread")
    stock.storage.enqueue(b"no pickle")
    stock.storage.add_to_schedule(b"nor this", datetime.datetime(2096, 1, 1))
    assert reliable.storage.adopt() == 2
    assert reliable.storage.held() == {"queued": [b"no pickle"], "scheduled": [b"nor this"], "leased": []}
    reliable.flush()


def test_flushing_also_flushes_what_was_not_taken_over_yet(request: pytest.FixtureRequest) -> None:
    stock, reliable = hueys(request, "Redis", "Redis", "flushed")
    stock.storage.enqueue(b"x")
    stock.storage.add_to_schedule(b"x", datetime.datetime(2096, 1, 1))
    reliable.flush()
    assert (stock.pending_count(), stock.scheduled_count(), reliable.storage.adopt()) == (0, 0, 0)


@pytest.mark.parametrize(
    ("family", "kind"), [("Redis", "Redis"), ("Redis", "PriorityRedis"), ("Cluster", "Redis"), ("Sentinel", "Redis")]
)
def test_old_and_new_side_by_side_run_each_task_once(request: pytest.FixtureRequest, family: str, kind: str) -> None:
    """A rolling upgrade: producers and consumers of both, who revoke each other's tasks and read all results."""
    stock, reliable = hueys(request, family, kind, f"rolling{kind}")
    ran: list[Any] = []
    tasks = {"old": task_of(stock, ran, "old"), "new": task_of(reliable, ran, "new")}
    count = 150
    results: dict[int, Any] = {}

    def produce(start: int, note: Any) -> None:
        for number in range(start, start + count):
            results[number] = note.schedule((number,), delay=0.01) if number % 5 == 0 else note(number)

    with consuming(stock), consuming(reliable):
        producers = [
            threading.Thread(target=produce, args=(start, note))
            for start, note in zip((0, count), tasks.values(), strict=True)
        ]
        for producer in producers:
            producer.start()
        for producer in producers:
            producer.join(30)
        eventually("all have run", lambda: len(ran) >= 2 * count, 30)
        # Each reads the results of the other's tasks.
        assert {number: stock.result(result.id, preserve=True) for number, result in results.items()} == {
            number: number for number in range(2 * count)
        }
        assert reliable.result(results[0].id) == 0
        for number, (of, by, note) in enumerate(
            ((stock, reliable, tasks["old"]), (reliable, stock, tasks["new"])), 1000
        ):
            revoked = note.s(number, delay=0.05)
            by.revoke(revoked)
            of.enqueue(revoked)
        last = [tasks["old"].schedule((2000,), delay=0.1), tasks["new"].schedule((2001,), delay=0.1)]
        assert [one.get(blocking=True, timeout=20) for one in last] == [2000, 2001]
    assert sorted(number for number, _ in ran) == [*range(2 * count), 2000, 2001]
    # Only what a reliable producer enqueued is out of the old consumer's reach.
    by_whom = collections.Counter(who for number, who in ran if count <= number < 2 * count)
    assert by_whom == {"new": count}
    assert remains(reliable.storage) == {}


def test_a_reliable_consumer_alone_runs_what_old_producers_enqueue(request: pytest.FixtureRequest) -> None:
    stock, reliable = hueys(request, "Redis", "Redis", "alone")
    ran: list[Any] = []
    note, _ = task_of(stock, ran), task_of(reliable, ran)
    with consuming(reliable):
        for number in range(3):
            result = note(number)
            assert result.get(blocking=True, timeout=10) == number
    assert [number for number, _ in ran] == [0, 1, 2]
