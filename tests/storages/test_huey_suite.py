"""Huey's own tests, from its wheel, over these storages.

Every class of `huey.tests` whose Huey can be ours is run with the names of Huey's classes replaced by one of ours in
its module. What is left out is listed here as data, with why, and a test holds the lists to be exact.
"""

from __future__ import annotations

import importlib
import itertools
import os
import pkgutil
import time
import unittest
from collections.abc import Iterable
from types import ModuleType
from typing import Any, ClassVar
from unittest import mock

import huey
import pytest
import redis
from huey.consumer import Consumer

import harness.storages
from harness.storages.reliable.consumer import ReliableConsumer

from .servers import Cluster, SentinelSet, Standalone, eventually

pytestmark = pytest.mark.cluster

# Huey skips its slow tests, and those that need a server on Redis' own port, by what it finds at import.
with (
    mock.patch.dict(os.environ, HUEY_SLOW_TESTS="1"),
    mock.patch.object(redis.Redis, "info", return_value={"redis_version": "7.2.4"}),
):
    import huey.tests
    from huey.tests import base

    MODULES: list[ModuleType] = [
        importlib.import_module(f"huey.tests.{module.name}")
        for module in pkgutil.iter_modules(huey.tests.__path__)
        if module.name != "__main__"
    ]

#: The version of Huey whose suite the lists describe, and how many of its tests are run here, all kinds together.
SUITE, RUN = "3.5.4", 1180
STORAGE_TESTS = {
    "Redis": ["TestRedisStorage", "TestRedisStorageWaitResult", "TestRedisStorageOffline"],
    "RedisExpire": ["TestRedisExpireStorage"],
    "PriorityRedis": ["TestPriorityRedisStorage", "TestPriorityRedisStorageNotBlocking"],
    "PriorityRedisExpire": ["TestRedisExpireStorage"],
    "Reliable": [
        *("TestRedisStorage", "TestRedisStorageWaitResult", "TestRedisStorageOffline"),
        *("TestPriorityRedisStorage", "TestPriorityRedisStorageNotBlocking"),
    ],
}
#: The kinds that the behaviours are run with. Their own Huey keeps priorities and gives a result once: so do these.
BEHAVIOURS_WITH = ("PriorityRedis", "Reliable")
#: Classes that say nothing about a storage of ours.
OTHER_CLASSES = {
    "TestCrontab": "no Huey in it",
    "TestCySqliteStorage": "another storage",
    "TestDjangoTasksBackend": "needs Django and its tasks package",
    "TestFileLock": "no Huey in it",
    "TestFileStorageMethods": "another storage",
    "TestForkSafeFlag": "no Huey in it",
    "TestImmediateMemoryStorage": "its storage class is its own",
    "TestMemoryStorage": "another storage",
    "TestMiniHuey": "a Huey without storage; needs gevent",
    "TestNormalizeTime": "no Huey in it",
    "TestPostgresStorage": "another storage",
    "TestProcessTimeout": "no Huey in it",
    "TestProcessWorkers": "opens a SqliteHuey; test_forks.py has the like",
    "TestSqliteStorage": "another storage",
    "TestSqlStorage": "another storage; needs peewee",
    "TestValkeyGlideStorage": "another storage",
    "TestWrappers": "Huey's own classes and their storages",
    "StatsTestCase": "needs peewee", "TestDashboardContext": "needs peewee", "TestResolveDb": "needs peewee",
    "TestSearchEvents": "needs peewee", "TestStatsFlush": "needs peewee", "TestStatsFork": "needs peewee",
    "TestStatsInit": "needs peewee", "TestStatsPrune": "needs peewee", "TestStatsShutdown": "needs peewee",
}  # fmt: skip
#: Tests of classes that are run, and why these are not.
LEFT_OUT = {
    "test_chord_bookkeeping_cleared": "looks into the MemoryStorage's attributes",
    "test_conflicting_init_args": "RedisHuey's ways to say where the server is; test_constructors.py has ours",
    "test_name_not_mangled": "expects keys without a hash tag; test_constructors.py has ours",
    "test_semaphore_storage_types": "opens a RedisStorage on Redis' own port",
}
#: Likewise, with leases.
LEFT_OUT_WITH_LEASES = {
    "test_dequeue_error_handling": "replaces BRPOP; test_reliable_workers.py has ours",
    "test_enqueued_items_limit": "replaces LRANGE; test_queue_methods has the like",
    "test_notify_interrupted_completing_task": "a task that was handed back is another's; its end is refused",
    "test_read_schedule": "has a clock of its own; here whoever looks for work moves what is due by the server's",
}
#: Tests that sleep for more than a second, and those of our classes where they would run the same code again.
ONCE_IS_ENOUGH = {
    "test_put_if_empty_ttl": ("WaitResult", "PriorityRedis", "Sentinel", "Reliable"),
    "test_wait_result_multiple_waiters": ("Sentinel", "ReliableCluster"),
    "test_semaphore_renewed_while_running": ("Sentinel", "ReliableCluster"),
    "test_semaphore_expiration": ("Sentinel", "ReliableCluster"),
}


def hueys_tests() -> dict[str, type[unittest.TestCase]]:
    """Every test class of Huey's, by name."""
    return {
        name: value
        for module in MODULES
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, unittest.TestCase)
        and value.__module__ == module.__name__
        and value is not base.BaseTestCase
    }


class Ours:
    """Mixed into a test class of Huey's: the Huey that it makes, by whatever name, is ours, with a queue of its own."""

    HUEYS = ("MemoryHuey", "RedisHuey", "RedisExpireHuey", "PriorityRedisHuey")
    kind: ClassVar[type[Any]]
    family: ClassVar[str]
    connection: dict[str, Any]
    #: One client a family: to make one for each of hundreds of tests takes longer than the tests.
    clients: ClassVar[dict[str, Any]] = {}
    numbers = itertools.count()

    @pytest.fixture(autouse=True)
    def _servers(self, request: pytest.FixtureRequest) -> None:
        if self.family == "Cluster":
            cluster: Cluster = request.getfixturevalue("cluster")
            self.connection = {"startup_nodes": cluster.startup_nodes}
        elif self.family == "Redis":
            standalone: Standalone = request.getfixturevalue("standalone")
            self.connection = standalone.where
        else:
            sentinel: SentinelSet = request.getfixturevalue("sentinel")
            self.connection = {"sentinels": sentinel.sentinels, "service_name": sentinel.service_name}

    def setUp(self) -> None:
        connection, clients, family = self.connection, self.clients, self.family

        class OurHuey(self.kind):  # type: ignore[name-defined,misc]
            def __init__(self, name: str | None = None, **kwargs: Any) -> None:
                # A blocking read of an empty queue is a second of idling in many of these tests.
                options = {"read_timeout": 0.05, **connection, **kwargs}
                super().__init__(name or f"suite{next(Ours.numbers)}", **options)
                if isinstance(self.storage, self.storage_class):
                    if family not in clients:
                        clients[family] = self.storage.conn
                    self.storage.conn = clients[family]

        for module in MODULES:
            for name in self.HUEYS:
                if hasattr(module, name):
                    patch = mock.patch.object(module, name, OurHuey)
                    patch.start()
                    self.addCleanup(patch.stop)  # type: ignore[attr-defined]
        if "rate" in self.id().lower():  # type: ignore[attr-defined]
            # Those tests fail when a minute ends in their midst.
            eventually("the minute is young", lambda: time.time() % 60 < 57, 5)
        super().setUp()  # type: ignore[misc]


def _behaviours() -> set[str]:
    return hueys_tests().keys() - OTHER_CLASSES.keys() - {name for names in STORAGE_TESTS.values() for name in names}


def _not_run(our_name: str) -> Iterable[str]:
    yield from LEFT_OUT
    if "OnReliable" in our_name:
        yield from LEFT_OUT_WITH_LEASES
    yield from (test for test, parts in ONCE_IS_ENOUGH.items() if any(part in our_name for part in parts))


def _classes() -> dict[str, type[unittest.TestCase]]:
    found, classes = hueys_tests(), {}
    for family, (kind, names) in itertools.product(("Cluster", "Sentinel", "Redis"), STORAGE_TESTS.items()):
        if family == "Redis" and kind != "Reliable":
            continue  # Huey's own
        for name in (*names, *(sorted(_behaviours()) if kind in BEHAVIOURS_WITH else ())):
            our_name = f"{name}On{kind}{family}"
            body: dict[str, Any] = {test: None for test in _not_run(our_name) if hasattr(found[name], test)}
            body.update(kind=getattr(harness.storages, f"{kind}{family}Huey"), family=family, __unittest_skip__=False)
            if kind == "Reliable" and found[name].consumer_class is Consumer:  # type: ignore[attr-defined]
                body["consumer_class"] = ReliableConsumer
            classes[our_name] = type(our_name, (Ours, found[name]), body)
    return classes


OUR_TESTS = _classes()
globals().update(OUR_TESTS)


@pytest.mark.skipif(huey.__version__ != SUITE, reason=f"the lists describe the suite of Huey {SUITE}")
def test_the_lists_are_exact() -> None:
    found = hueys_tests()
    listed = OTHER_CLASSES.keys() | {name for names in STORAGE_TESTS.values() for name in names}
    assert listed <= found.keys()
    tests = unittest.defaultTestLoader.getTestCaseNames
    run_somewhere = {test for name in found.keys() - OTHER_CLASSES.keys() for test in tests(found[name])}
    run_here = {test for cls in OUR_TESTS.values() for test in tests(cls)}
    assert run_somewhere - run_here == LEFT_OUT.keys()
    for family in ("Redis", "Sentinel", "Cluster"):
        names = [name for name in OUR_TESTS if name.endswith(f"OnReliable{family}")]
        not_run = {
            (name, test)
            for name in names
            for test in set(tests(found[name.partition("On")[0]])) - set(tests(OUR_TESTS[name]))
            if test not in ONCE_IS_ENOUGH and test not in LEFT_OUT
        }
        assert {test for _, test in not_run} == LEFT_OUT_WITH_LEASES.keys()
    assert sum(len(tests(cls)) for cls in OUR_TESTS.values()) == RUN
