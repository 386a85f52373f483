"""What the constructors accept, and what they say to what cannot be meant. No servers: nothing connects here."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from huey import RedisExpireHuey
from huey.exceptions import ConfigurationError
from huey.storage import (
    MemoryStorage,
    PriorityRedisExpireStorage,
    PriorityRedisStorage,
    RedisExpireStorage,
    RedisStorage,
)
from redis.cluster import ClusterNode
from redis.crc import key_slot

import harness.storages
from harness.storages import RedisClusterHuey, RedisExpireClusterHuey, RedisExpireSentinelHuey, RedisSentinelHuey
from harness.storages.sentinel import CleanConnection, CleanSSLConnection

NODES = [("10.0.0.1", 7000)]
SENTINELS: dict[str, Any] = {"sentinels": [("10.0.0.1", 26379)], "service_name": "main"}
BASES = {
    "Redis": RedisStorage,
    "RedisExpire": RedisExpireStorage,
    "PriorityRedis": PriorityRedisStorage,
    "PriorityRedisExpire": PriorityRedisExpireStorage,
}


@pytest.mark.parametrize("kind", BASES)
@pytest.mark.parametrize(("family", "where"), [("Cluster", {"startup_nodes": NODES}), ("Sentinel", SENTINELS)])
def test_each_takes_every_argument_of_the_huey_whose_semantics_it_keeps(
    kind: str, family: str, where: dict[str, Any]
) -> None:
    given: dict[str, Any] = {
        "results": False, "store_none": True, "utc": False, "compression": True, "use_zlib": True,
        "immediate_use_memory": False, "store_intermediate_errors": False,
        "blocking": False, "read_timeout": 3, "client_name": "me", "notify_result": True, "notify_result_ttl": 7,
        "clean_name": False, "host": None, "port": None, "db": None, "url": None, "connection_pool": None,
    }  # fmt: skip
    if "Expire" in kind:
        given["expire_time"] = 60
    huey = getattr(harness.storages, f"{kind}{family}Huey")("an-app", **where, **given)
    assert isinstance(huey.storage, BASES[kind])
    assert (huey.results, huey.store_none, huey.utc, huey.store_intermediate_errors) == (False, True, False, False)
    storage = huey.storage
    assert (storage.blocking, storage.read_timeout, storage.notify_result, storage.notify_result_ttl) == (
        False, 3, True, 7,
    )  # fmt: skip
    assert storage.priority is ("Priority" in kind)
    assert storage._connection["client_name"] == "me"
    assert "an-app" in storage.queue_key
    if "Expire" in kind:
        assert storage._expire_time == 60


@pytest.mark.parametrize("kind", BASES)
def test_the_list_above_is_hueys(kind: str) -> None:
    """A new argument of Huey's storages is passed on by name; this fails when there is one to test above."""
    known = {"name", "blocking", "read_timeout", "connection_pool", "url", "client_name", "notify_result"}
    known |= {"notify_result_ttl", "clean_name", "self", "connection_params"}
    assert set(inspect.signature(RedisStorage.__init__).parameters) <= known


def test_names() -> None:
    storage = RedisClusterHuey("app-v1", startup_nodes=NODES).storage
    assert storage.queue_key == "huey.redis.{appv1}"
    assert storage.schedule_key == "huey.schedule.{appv1}"
    expire = RedisExpireClusterHuey("app-v1", startup_nodes=NODES).storage
    assert expire.result_key("k") == b"huey.r.{appv1}.k"
    assert expire.counter_key(b"k") == b"huey.c.{appv1}.k"
    kept = {"app-v1": "{app-v1}", "a{b}c": "a{b}c", "{app}": "{app}", "a}b": "{a}b}"}
    for name, tagged in kept.items():
        storage = RedisClusterHuey(name, startup_nodes=NODES, clean_name=False).storage
        assert storage.queue_key == f"huey.redis.{tagged}"
        assert key_slot(storage.queue_key.encode()) == key_slot(storage.schedule_key.encode())
    plain = RedisExpireHuey("app-v1").storage
    behind = RedisExpireSentinelHuey("app-v1", **SENTINELS).storage
    for name in ("queue_key", "schedule_key", "notify_prefix", "result_prefix", "counter_prefix"):
        assert getattr(behind, name) == getattr(plain, name)


def test_immediate_needs_no_server() -> None:
    """As with Huey's own, in immediate mode with memory nothing of the connection is looked at."""
    assert isinstance(RedisClusterHuey("app", immediate=True).storage, MemoryStorage)
    assert isinstance(RedisSentinelHuey("app", immediate=True).storage, MemoryStorage)


@pytest.mark.parametrize(
    "nodes",
    [
        [("h", 7000)], [["h", 7000]], (("h", 7000),), ["h:7000"], [("h", "7000")], [{"host": "h", "port": 7000}],
        [ClusterNode("h", 7000)], (node for node in [("h", 7000)]), [("h", 7000), "[::1]:7001"],
    ],
)  # fmt: skip
def test_addresses_accepted(nodes: Any) -> None:
    found = RedisClusterHuey("app", startup_nodes=nodes).storage._addresses
    assert found[0] == ("h", 7000)
    assert found[1:] in ([], [("::1", 7001)])


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (("h", 7000), r"startup_nodes=\('h', 7000\) is one address; a list of them is wanted"),
        (["h", 7000], "is one address"),
        ("h:7000", "a list of addresses is wanted"),
        (7000, "a list of addresses is wanted"),
        ({"h": 7000}, "a list of addresses is wanted"),
        ([], "startup_nodes is empty"),
        (["h"], r"startup_nodes\[0\]='h' is no \(host, port\)"),
        ([("h", 7000), ("i",)], r"startup_nodes\[1\]"),
        ([("h", 0)], r"startup_nodes\[0\]"),
        ([("h", 70000)], r"startup_nodes\[0\]"),
        ([("h", True)], r"startup_nodes\[0\]"),
        ([("", 7000)], r"startup_nodes\[0\]"),
        ([None], r"startup_nodes\[0\]=None"),
        ([("h", 7000, 1)], r"startup_nodes\[0\]"),
    ],
)
def test_addresses_refused(nodes: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RedisClusterHuey("app", startup_nodes=nodes)


ANYWHERE = [
    ({"read_timeout": 0}, "read_timeout=0: a blocking read waits for a number of seconds greater than 0"),
    ({"read_timeout": None}, "read_timeout=None"),
    ({"socket_timeout": 1}, "socket_timeout=1 must be greater than read_timeout=1"),
    ({"socket_timeout": 0.5, "blocking": True}, "socket_timeout=0.5 must be greater"),
    ({"socket_timeout": "5"}, "socket_timeout='5': a number of seconds"),
    ({"socket_connect_timeout": -1}, "socket_connect_timeout=-1"),
    ({"retry": object()}, "retry cannot be set: no request is sent twice"),
    ({"retry_on_timeout": True}, "retry_on_timeout cannot be set"),
    ({"retry_on_error": []}, "retry_on_error cannot be set"),
    ({"decode_responses": True}, "decode_responses cannot be set: Huey's messages are bytes"),
]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"Where is the cluster\? Specify startup_nodes="),
        ({"startup_nodes": NODES, "url": "redis://h"}, "over-determined: startup_nodes and url"),
        ({"startup_nodes": NODES, "host": "h"}, "over-determined: startup_nodes and host"),
        ({"url": "redis://h", "host": "h", "port": 1}, "over-determined: url and host and port"),
        ({"host": "h", "port": 7000}, r"host names one server; a cluster takes startup_nodes=\[\(host, port\)"),
        ({"url": "h:7000"}, "url='h:7000'"),
        ({"url": "unix:///tmp/redis.sock"}, "not reached by a Unix socket"),
        ({"url": "redis://h/3"}, "no numbered databases"),
        ({"url": "redis://:a@h", "password": "b"}, "over-determined: password, and in url too"),
        ({"url": "redis://h?socket_timeout=0.5"}, "socket_timeout=0.5 must be greater"),
        ({"url": "redis://h?sockettimeout=5"}, "'sockettimeout' is an argument neither.*Did you mean 'socket_timeout'"),
        ({"startup_nodes": NODES, "db": 1}, "no numbered databases"),
        ({"startup_nodes": NODES, "connection_pool": object()}, "connection_pool cannot be set"),
        ({"startup_nodes": NODES, "cluster_error_retry_attempts": 3}, "cannot be set: no request is sent twice"),
        ({"startup_nodes": NODES, "socket_timout": 3}, "'socket_timout' is an argument neither.*'socket_timeout'"),
        *[({"startup_nodes": NODES, **given}, message) for given, message in ANYWHERE],
    ],
)
def test_refused_by_the_cluster_kinds(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RedisClusterHuey("app", **given)


@pytest.mark.parametrize("name", ["", "---", "\u00fc"])
def test_a_name_that_leaves_no_hash_tag(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"makes no hash tag.*only letters, digits and underscores stay"):
        RedisClusterHuey(name, startup_nodes=NODES)


@pytest.mark.parametrize("name", ["", "{}", "x{}", "}x", "x{", "{odd", "{}{a}"])
def test_a_name_kept_that_is_no_hash_tag(name: str) -> None:
    with pytest.raises(ConfigurationError, match="makes no hash tag"):
        RedisClusterHuey(name, startup_nodes=NODES, clean_name=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"Where are the sentinels\?"),
        ({"service_name": "main"}, r"Where are the sentinels\?"),
        ({"sentinels": [("h", 1)]}, "service_name=None: specify the name"),
        ({"sentinels": [("h", 1)], "service_name": ""}, "service_name='': specify"),
        ({"sentinels": ("h", 26379), "service_name": "main"}, r"is one address.*sentinels=\[\("),
        ({**SENTINELS, "url": "redis://h"}, "over-determined: url"),
        ({**SENTINELS, "host": "h"}, "over-determined: host"),
        ({**SENTINELS, "connection_pool": object()}, "over-determined: connection_pool"),
        ({**SENTINELS, "sentinel_kwargs": "secret"}, "sentinel_kwargs='secret': a dict is wanted"),
        ({**SENTINELS, "sentinel_kwargs": {"pasword": "x"}}, "redis-py .*pasword"),
        ({**SENTINELS, "socket_timout": 3}, "redis-py .*socket_timout"),
        *[({**SENTINELS, **given}, message) for given, message in ANYWHERE],
    ],
)
def test_refused_by_the_sentinel_kinds(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RedisSentinelHuey("app", **given)


def test_time_outs() -> None:
    for huey, where in ((RedisClusterHuey, {"startup_nodes": NODES}), (RedisSentinelHuey, SENTINELS)):
        times = ("socket_timeout", "socket_connect_timeout")
        for given, expected in (
            ({}, (5, 1.5)),
            ({"read_timeout": 10}, (14, 1.5)),
            ({"blocking": False}, (5, 1.5)),
            ({"blocking": False, "read_timeout": 0}, (5, 1.5)),
            ({"socket_timeout": 2, "socket_connect_timeout": 0.1}, (2, 0.1)),
            ({"socket_timeout": None}, (None, 1.5)),
        ):
            storage = huey("app", **where, **given).storage
            assert tuple(storage._connection[name] for name in times) == expected


def test_tls_and_passwords_reach_the_connections() -> None:
    cluster = RedisClusterHuey("app", url="rediss://me:secret@h:7001?ssl_cert_reqs=none").storage
    assert cluster._addresses == [("h", 7001)]
    assert {"ssl": True, "username": "me", "password": "secret", "ssl_cert_reqs": "none"}.items() <= (
        cluster._connection.items()
    )
    behind = RedisSentinelHuey(
        "app", **SENTINELS, ssl=True, password="of the servers", sentinel_kwargs={"password": "of the sentinels"}
    ).storage
    pool = behind._pool()
    connection = pool.make_connection()
    assert isinstance(connection, CleanSSLConnection)
    assert connection.password == "of the servers"
    (sentinel,) = pool.sentinel_manager.sentinels
    assert sentinel.connection_pool.connection_kwargs["password"] == "of the sentinels"
    for made in (connection, sentinel.connection_pool.make_connection()):
        assert made.retry._retries == 0
    assert type(RedisSentinelHuey("app", **SENTINELS).storage._pool().make_connection()) is CleanConnection


DJANGO = """
import json, sys, types
settings = types.SimpleNamespace(DEBUG=True, DATABASES={}, HUEY=json.loads(sys.argv[1]))
if sys.argv[2] == "stub":
    for name in ("django", "django.conf", "django.db"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["django.conf"].settings = settings
    sys.modules["django.db"].close_old_connections = sys.modules["django.db"].transaction = None
else:
    from django.conf import settings as real
    real.configure(**vars(settings))
from huey.contrib.djhuey import HUEY
storage = HUEY.storage
print(json.dumps([type(HUEY).__name__, HUEY.name, HUEY.results, storage.queue_key, storage._addresses,
                  storage.read_timeout, storage._connection.get("password")]))
"""


@pytest.mark.parametrize(
    ("huey_class", "connection", "queue_key"),
    [
        ("RedisClusterHuey", {"startup_nodes": [["h", 7000]]}, "huey.redis.{app}"),
        ("PriorityRedisExpireClusterHuey", {"startup_nodes": ["h:7000"], "host": None}, "huey.redis.{app}"),
        ("RedisSentinelHuey", {"sentinels": [["h", 7000]], "service_name": "main"}, "huey.redis.app"),
    ],
)
def test_from_djangos_settings(huey_class: str, connection: dict[str, Any], queue_key: str) -> None:
    """As huey.contrib.djhuey makes it; with Django where it is installed, else with what that module needs of it."""
    huey = {
        "huey_class": f"harness.storages.{huey_class}", "name": "app", "immediate": False, "results": False,
        "connection": {**connection, "password": "secret", "read_timeout": 2}, "consumer": {"workers": 2},
    }  # fmt: skip
    django = "real" if find_spec("django") else "stub"
    done = subprocess.run(
        [sys.executable, "-c", DJANGO, json.dumps(huey), django],
        capture_output=True, text=True, check=False, timeout=30, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [huey_class, "app", False, queue_key, [["h", 7000]], 2, "secret"]


def test_only_huey_and_redis_are_imported() -> None:
    program = (
        "import sys, harness.storages\n"
        "print(sorted(n for n in sys.modules if n.startswith('harness.')))\n"
        "print([n for n in ('pydantic', 'numpy', 'docker', 'pytest', 'pyroute2') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    ours, others = done.stdout.splitlines()
    assert all(name.startswith("harness.storages") for name in eval(ours)), ours
    assert others == "[]"
