"""Huey's own tests, from its wheel, over these storages.

Every class of `huey.tests` whose Huey can be ours is run with the names of Huey's classes replaced by one of ours in its
module. What is left out is listed here as data, with why, and a test holds the list to be exact.
"""

from __future__ import annotations

import importlib
import itertools
import os
import pkgutil
import unittest
from types import ModuleType
from typing import Any, ClassVar
from unittest import mock

import huey
import pytest
import redis

import harness.storages

from .servers import Cluster, SentinelSet

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

#: The version of Huey whose suite the lists below describe.
SUITE = "3.5.4"
STORAGE_TESTS = {
    "Redis": ["TestRedisStorage", "TestRedisStorageWaitResult", "TestRedisStorageOffline"],
    "RedisExpire": ["TestRedisExpireStorage"],
    "PriorityRedis": ["TestPriorityRedisStorage", "TestPriorityRedisStorageNotBlocking"],
    "PriorityRedisExpire": ["TestRedisExpireStorage"],
}
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
    "StatsTestCase": "needs peewee", "TestDashboardContext": "needs peewee", "TestResolveDb": "needs peewee",
    "TestSearchEvents": "needs peewee", "TestStatsFlush": "needs peewee", "TestStatsFork": "needs peewee",
    "TestStatsInit": "needs peewee", "TestStatsPrune": "needs peewee", "TestStatsShutdown": "needs peewee",
}  # fmt: skip
#: Tests of classes that are run, and why these are not.
LEFT_OUT = {
    "test_conflicting_init_args": "RedisHuey's ways to say where the server is; test_constructors.py has ours",
    "test_name_not_mangled": "expects keys without a hash tag; test_constructors.py has ours",
    "test_semaphore_storage_types": "opens a RedisStorage on localhost",
    "test_wrapper_functions": "a list of Huey's own classes and their storages",
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
    connection: dict[str, Any]
    _names = itertools.count()

    @pytest.fixture(autouse=True)
    def _servers(self, request: pytest.FixtureRequest) -> None:
        if "Cluster" in self.kind.__name__:
            cluster: Cluster = request.getfixturevalue("cluster")
            self.connection = {"startup_nodes": cluster.startup_nodes}
        else:
            sentinel: SentinelSet = request.getfixturevalue("sentinel")
            self.connection = {"sentinels": sentinel.sentinels, "service_name": sentinel.service_name}

    def setUp(self) -> None:
        connection = self.connection

        class OurHuey(self.kind):  # type: ignore[name-defined,misc]
            def __init__(self, name: str | None = None, **kwargs: Any) -> None:
                # A blocking read of an empty queue is a second of idling in many of these tests.
                options = {"read_timeout": 0.05, **connection, **kwargs}
                super().__init__(name or f"suite{next(Ours._names)}", **options)

        for module in MODULES:
            for name in self.HUEYS:
                if hasattr(module, name):
                    patch = mock.patch.object(module, name, OurHuey)
                    patch.start()
                    self.addCleanup(patch.stop)  # type: ignore[attr-defined]
        super().setUp()  # type: ignore[misc]


def _classes() -> dict[str, type[unittest.TestCase]]:
    found = hueys_tests()
    storage_tests = {name for names in STORAGE_TESTS.values() for name in names}
    behaviours = found.keys() - OTHER_CLASSES.keys() - storage_tests
    classes = {}
    for family, (kind, names) in itertools.product(("Cluster", "Sentinel"), STORAGE_TESTS.items()):
        # The behaviours' own Huey keeps priorities and gives a result once: of ours, the priority kind does.
        for name in (*names, *(sorted(behaviours) if kind == "PriorityRedis" else ())):
            body: dict[str, Any] = dict.fromkeys(LEFT_OUT.keys() & set(dir(found[name])))
            body.update(kind=getattr(harness.storages, f"{kind}{family}Huey"), __unittest_skip__=False)
            if name == "TestRedisExpireStorage":
                body["test_wait_result_notified"] = lambda self: None
            our_name = f"{name}On{kind}{family}"
            classes[our_name] = type(our_name, (Ours, found[name]), body)
    return classes


globals().update(_classes())


@pytest.mark.skipif(huey.__version__ != SUITE, reason=f"the lists describe the suite of Huey {SUITE}")
def test_the_lists_are_exact() -> None:
    found = hueys_tests()
    storage_tests = {name for names in STORAGE_TESTS.values() for name in names}
    assert found.keys() >= OTHER_CLASSES.keys() | storage_tests
    run = found.keys() - OTHER_CLASSES.keys()
    tests = {test for name in run for test in unittest.defaultTestLoader.getTestCaseNames(found[name])}
    assert tests >= LEFT_OUT.keys()
    ours = {name: cls for name, cls in globals().items() if isinstance(cls, type) and issubclass(cls, Ours)}
    count = sum(unittest.defaultTestLoader.loadTestsFromTestCase(cls).countTestCases() for cls in ours.values())
    print(count)
