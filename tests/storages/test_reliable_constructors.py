"""The reliable three: what their constructors accept, and what they say to what cannot be meant. No servers."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from huey import RedisHuey
from huey.exceptions import ConfigurationError
from huey.storage import RedisStorage
from redis import ConnectionPool
from redis.crc import key_slot

from harness.storages import OutcomeUnknown, ReliableClusterHuey, ReliableRedisHuey, ReliableSentinelHuey

NODES = [("10.0.0.1", 7000)]
SENTINELS: dict[str, Any] = {"sentinels": [("10.0.0.1", 26379)], "service_name": "main"}
KINDS: list[tuple[type[Any], dict[str, Any]]] = [
    (ReliableRedisHuey, {}),
    (ReliableSentinelHuey, SENTINELS),
    (ReliableClusterHuey, {"startup_nodes": NODES}),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind[0].__name__)
def make(request: pytest.FixtureRequest) -> Any:
    kind, where = request.param
    return lambda name="app", **options: kind(name, **{**where, **options})


def test_defaults(make: Any) -> None:
    storage = make().storage
    assert (storage.lease_s, storage._replicas, storage.max_deliveries) == (30, 0, 5)
    assert (storage.priority, storage.blocking, storage.read_timeout) == (True, True, 1)
    assert isinstance(storage, RedisStorage)


def test_every_argument_of_hueys(make: Any) -> None:
    given: dict[str, Any] = {
        "results": False, "store_none": True, "utc": False, "compression": True, "use_zlib": True,
        "immediate_use_memory": False, "store_intermediate_errors": False,
        "blocking": False, "read_timeout": 3, "notify_result": True, "notify_result_ttl": 7,
        "clean_name": False, "host": None, "port": None, "db": None, "url": None, "connection_pool": None,
        "lease_s": 1.5, "replicas": "alive", "max_deliveries": 1, "patience_s": 2, "remember_s": 4,
    }  # fmt: skip
    huey = make("an-app", **given)
    storage = huey.storage
    assert (huey.results, huey.store_none, huey.utc, huey.store_intermediate_errors) == (False, True, False, False)
    assert (storage.blocking, storage.read_timeout, storage.notify_result, storage.notify_result_ttl) == (
        False, 3, True, 7,
    )  # fmt: skip
    assert (storage.lease_s, storage._replicas, storage.max_deliveries, storage.utc) == (1.5, "alive", 1, False)


def test_every_argument_of_hueys_storage_is_one_of_these() -> None:
    """A new argument of Huey's storage is passed on by name."""
    known = {"name", "blocking", "read_timeout", "connection_pool", "url", "client_name", "notify_result"}
    known |= {"notify_result_ttl", "clean_name", "self", "connection_params"}
    assert set(inspect.signature(RedisStorage.__init__).parameters) <= known


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lease_s": 0}, "lease_s=0: a number of seconds greater than 0"),
        ({"lease_s": "30"}, "lease_s='30'"),
        ({"lease_s": True}, "lease_s=True"),
        ({"patience_s": -1}, "patience_s=-1"),
        ({"remember_s": None}, "remember_s=None"),
        ({"remember_s": 19}, "remember_s=19 must be at least twice patience_s=10"),
        ({"patience_s": 31}, "remember_s=60.0 must be at least twice patience_s=31"),
        ({"replicas": -1}, 'replicas=-1: a number of replicas, 0 or more, or "alive"'),
        ({"replicas": "all"}, "replicas='all'"),
        ({"replicas": True}, "replicas=True"),
        ({"replicas": 1.0}, "replicas=1.0"),
        ({"max_deliveries": 0}, "max_deliveries=0: a number of deliveries, 1 or more"),
        ({"max_deliveries": 2.5}, "max_deliveries=2.5"),
        ({"max_deliveries": None}, "max_deliveries=None"),
    ],
)
def test_refused(make: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make(**given)


@pytest.mark.parametrize(
    ("make_one", "message"),
    [
        (lambda: ReliableClusterHuey("app"), r"Where is the cluster\?"),
        (lambda: ReliableClusterHuey("app", startup_nodes=NODES, retry=object()), "retry cannot be set"),
        (lambda: ReliableClusterHuey("app", startup_nodes=NODES, lease=3), "'lease' is an argument neither"),
        (lambda: ReliableClusterHuey("app", startup_nodes=NODES, socket_timeout=0.5), "must be greater"),
        (lambda: ReliableClusterHuey("", startup_nodes=NODES), "makes no hash tag"),
        (lambda: ReliableSentinelHuey("app"), r"Where are the sentinels\?"),
        (lambda: ReliableSentinelHuey("app", **SENTINELS, url="redis://h"), "over-determined: url"),
        (lambda: ReliableRedisHuey("app", url="redis://h", host="h"), "over-determined"),
    ],
)  # fmt: skip
def test_refused_by_one_of_them(make_one: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_one()


def test_names_and_keys(make: Any) -> None:
    storage = make("app-v1").storage
    assert storage.keys.queue == "huey.reliable.1.{appv1}.queue"
    every = [*vars(storage.keys).values(), storage._once_key(b"x").decode()]
    assert {key_slot(key.encode()) for key in every} == {key_slot(b"appv1")}
    assert len(set(every)) == len(every)
    for name, tagged in {"app-v1": "{app-v1}", "a{b}c": "a{b}c"}.items():
        assert make(name, clean_name=False).storage.keys.queue == f"huey.reliable.1.{tagged}.queue"


def test_results_lie_where_stock_has_them() -> None:
    stock, ours = RedisHuey("app-v1").storage, ReliableRedisHuey("app-v1").storage
    for name in ("queue_key", "schedule_key", "result_key", "counter_key", "notify_prefix"):
        assert getattr(ours, name) == getattr(stock, name)


@pytest.mark.parametrize(
    "where",
    [{"url": "redis://h:7000"}, {"connection_pool": ConnectionPool(host="h", port=7000)}, {"host": "h", "port": 7000}],
)
def test_ways_to_say_where_one_server_is(where: dict[str, Any]) -> None:
    pool = ReliableRedisHuey("app", **where).storage.pool
    assert (pool.connection_kwargs["host"], pool.connection_kwargs["port"]) == ("h", 7000)


def test_an_open_outcome_is_a_connection_error() -> None:
    """Which callers of Huey with Redis already handle."""
    from redis.exceptions import ConnectionError, RedisError

    assert issubclass(OutcomeUnknown, ConnectionError) and issubclass(OutcomeUnknown, RedisError)
