"""Topologies that are not open to everybody: whoever says the right words gets in, before and after a failover, and
nobody else does; where there is TLS, nothing else is listened to.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
from huey import PriorityRedisHuey
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from harness.protocols import Runtime, Topology, Unavailable
from harness.runtimes.choose import open_runtime
from harness.runtimes.servers import DEFAULT, find_server, find_tls_server, speaks_tls
from harness.scenario import TopologySpec
from harness.storages import PriorityRedisClusterHuey, PriorityRedisSentinelHuey
from harness.topologies import TOPOLOGIES
from harness.topologies.description import PORT, SENTINEL_PEER_PORT, SENTINEL_PORT, needs_tls
from harness.topologies.server import WithoutTls, wait_for

pytestmark = pytest.mark.cluster
KEY = "huey.redis.{chaos}"
HUEYS = {"standalone": PriorityRedisHuey, "cluster": PriorityRedisClusterHuey, "sentinel": PriorityRedisSentinelHuey}

PASSWORDS: dict[str, Any] = {"auth": "password", "sentinel_auth": "password"}
USERS: dict[str, Any] = {"auth": "acl", "sentinel_auth": "acl"}
TLS: dict[str, Any] = {"tls": True, "sentinel_tls": True}
CASES = [
    *((kind, spec) for kind in HUEYS for spec in (PASSWORDS, USERS, {**USERS, **TLS})),
    ("standalone", {"tls": True}),
    # Either half alone, and each half in its own way.
    ("sentinel", {"auth": "password"}),
    ("sentinel", {"sentinel_auth": "acl"}),
    ("sentinel", {"tls": True, "auth": "acl", "sentinel_auth": "password"}),
    ("sentinel", {"sentinel_tls": True, "auth": "password", "sentinel_auth": "acl"}),
]


def named(value: object) -> str:
    if isinstance(value, Mapping):
        return ",".join(key if setting is True else f"{key}={setting}" for key, setting in value.items())
    return str(value)


def tls_server() -> tuple[str, Path]:
    try:
        return find_tls_server()
    except Unavailable as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(map(named, case)))
def held(request: pytest.FixtureRequest) -> Iterator[tuple[Topology, TopologySpec]]:
    kind, fields = request.param
    spec = TopologySpec(**fields)
    server, binary = tls_server() if needs_tls(kind, spec) else (DEFAULT, None)
    # On addresses that clients in this very process can reach.
    runtime = open_runtime("local", server, reachable=True, binary=binary)
    try:
        topology = TOPOLOGIES.get(kind)(runtime, spec)
        topology.start()
        yield topology, spec
    finally:
        runtime.close()
        shutil.rmtree(runtime.root, ignore_errors=True)


def huey_on(topology: Topology) -> Any:
    arguments: dict[str, Any] = dict(topology.connection())
    for name in ("startup_nodes", "sentinels"):
        if name in arguments:
            arguments[name] = [tuple(address) for address in arguments[name]]
    return HUEYS[topology.kind]("chaos", **arguments)


def works(topology: Topology) -> bool:
    """Whether a task of a client that is made now gets through."""
    huey = huey_on(topology)
    try:
        huey.storage.enqueue(b"a task", 1.0)
        return bool(huey.storage.dequeue() == b"a task")
    except RedisError:
        return False
    finally:
        # Standalone, it is Huey's own, whose close() does not reach the pool.
        huey.storage.conn.close()
        if topology.kind == "standalone":
            huey.storage.pool.disconnect()


def doors(topology: Topology, spec: TopologySpec) -> list[tuple[str, int, dict[str, Any]]]:
    """What clients talk to: address, port, and what lets them in."""
    arguments: dict[str, Any] = dict(topology.connection())
    if topology.kind == "standalone":
        found: dict[str, Any] = dict(redis.connection.parse_url(arguments["url"]))
        tls = found.pop("connection_class", None) is redis.connection.SSLConnection
        keys = {name: found[name] for name in ("username", "password", "ssl_ca_certs") if name in found}
        return [(found["host"], found["port"], {**keys, "ssl": True} if tls else keys)]
    keys = {name: arguments[name] for name in ("username", "password", "ssl", "ssl_ca_certs") if name in arguments}
    data = [(node.address, PORT, keys) for name, node in topology.nodes.items() if name.startswith("node-")]
    return data + [(host, port, arguments.get("sentinel_kwargs", {})) for host, port in arguments.get("sentinels", ())]


def admits(host: str, port: int, **keys: Any) -> bool:
    client = redis.Redis(host, port, socket_timeout=2, retry=Retry(NoBackoff(), 0), **keys)
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()


def test_who_says_what_the_topology_says_gets_in(held: tuple[Topology, TopologySpec]) -> None:
    topology, spec = held
    topology.reset()
    assert works(topology)
    assert all(admits(host, port, **keys) for host, port, keys in doors(topology, spec))


def test_a_failover_changes_nothing_in_that(held: tuple[Topology, TopologySpec]) -> None:
    topology, _ = held
    topology.reset()
    struck = topology.primary_of(KEY)
    struck.kill()
    if topology.kind != "standalone":
        wait_for(lambda: topology.primary_of(KEY) is not struck, 15, lambda: "a failover")
    topology.reset()
    assert works(topology)
    if topology.kind != "standalone":
        assert struck in topology.replicas_of(KEY)


def test_nobody_else_gets_in(held: tuple[Topology, TopologySpec]) -> None:
    topology, spec = held
    topology.reset()
    logins = [login_of(keys) for _, _, keys in doors(topology, spec)]
    for host, port, keys in doors(topology, spec):
        tls = {name: value for name, value in keys.items() if name.startswith("ssl")}
        mine = login_of(keys)
        if mine:
            assert not admits(host, port, **tls)
            assert not admits(host, port, **tls, **{**mine, "password": "guessed"})
            # What is said to the servers is nothing to the sentinels, and the other way round.
            assert not any(admits(host, port, **tls, **other) for other in logins if other != mine)
        if "username" in mine:
            assert not admits(host, port, **tls, password=mine["password"])
            assert not admits(host, port, **tls, **{**mine, "username": "default"})


def login_of(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {name: keys[name] for name in ("username", "password") if name in keys}


def test_where_there_is_tls_there_is_nothing_else(held: tuple[Topology, TopologySpec]) -> None:
    topology, spec = held
    topology.reset()
    for host, port, keys in doors(topology, spec):
        if "ssl" in keys:
            assert not admits(host, port, **login_of(keys))
            # Who does not know the authority does not trust the server.
            assert not admits(host, port, **login_of(keys), ssl=True)
    for name, node in topology.nodes.items():
        wanted = {SENTINEL_PORT} if name.startswith("sentinel-") else {PORT}
        if wanted == {SENTINEL_PORT} and spec.tls != spec.sentinel_tls:
            wanted.add(SENTINEL_PEER_PORT)
        assert {port for port in (PORT, SENTINEL_PORT, SENTINEL_PEER_PORT) if listens(node.address, port)} == wanted


def listens(host: str, port: int) -> bool:
    with socket.socket() as trial:
        trial.settimeout(2)
        return trial.connect_ex((host, port)) == 0


def test_a_certificate_holds_for_its_own_address(held: tuple[Topology, TopologySpec]) -> None:
    topology, spec = held
    topology.reset()
    for host, port, keys in doors(topology, spec):
        if "ssl" in keys:
            (file,) = topology.client_files
            context = ssl.create_default_context(cafile=str(file))
            for name, right in ((host, True), ("127.255.255.254", False)):
                assert greets(context, host, port, name) is right


def greets(context: ssl.SSLContext, host: str, port: int, name: str) -> bool:
    with socket.create_connection((host, port), timeout=2) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=name):
                return True
        except ssl.SSLCertVerificationError:
            return False


def test_only_what_clients_need_is_among_their_files(held: tuple[Topology, TopologySpec]) -> None:
    topology, spec = held
    assert bool(topology.client_files) is needs_tls(topology.kind, spec)
    for file in topology.client_files:
        assert str(file) in repr(topology.connection())
        assert "PRIVATE KEY" not in file.read_text()


def test_a_server_without_tls_is_told_from_one_that_fails() -> None:
    if speaks_tls(find_server(DEFAULT)):
        pytest.skip("the default server was built with TLS")
    runtime: Runtime = open_runtime("local", DEFAULT, reachable=True)
    try:
        topology = TOPOLOGIES.get("standalone")(runtime, TopologySpec(tls=True))
        with pytest.raises(WithoutTls, match=re.escape("apt-get install redis-server")):
            topology.start()
    finally:
        runtime.close()
        shutil.rmtree(runtime.root, ignore_errors=True)
