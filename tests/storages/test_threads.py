"""One storage shared by many threads: nothing lost, nothing twice; and a connection is never given back half read."""

from __future__ import annotations

import contextlib
import datetime
import socket
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from huey.consumer import ProcessEnvironment
from huey.exceptions import TaskTimeout
from redis.exceptions import ConnectionError, RedisClusterException, RedisError

import harness.storages
from harness.storages import options
from harness.storages.sentinel import CleanConnection, SharedSentinel

from .lossy import RequestReader
from .servers import Cluster, SentinelSet, Server, sentinel_of

pytestmark = pytest.mark.cluster
THREADS, EACH = 8, 50


def make(request: pytest.FixtureRequest, family: str, kind: str, name: str, **options: Any) -> Any:
    """A Huey of that family on the session's servers."""
    huey = getattr(harness.storages, f"{kind}{family}Huey")
    if family == "Cluster":
        cluster: Cluster = request.getfixturevalue("cluster")
        return huey(name, startup_nodes=cluster.startup_nodes, **options)
    sentinel: SentinelSet = request.getfixturevalue("sentinel")
    return huey(name, sentinels=sentinel.sentinels, service_name=sentinel.service_name, **options)


def in_threads(target: Any) -> None:
    """Run target(0), … target(THREADS - 1) at once; their exceptions are the test's."""
    errors: list[BaseException] = []
    together = threading.Barrier(THREADS)

    def run(index: int) -> None:
        try:
            together.wait(10)
            target(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors, errors
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("family", ["Cluster", "Sentinel"])
@pytest.mark.parametrize("kind", ["Redis", "PriorityRedisExpire"])
def test_threads_share_a_storage(request: pytest.FixtureRequest, family: str, kind: str) -> None:
    storage = make(request, family, kind, f"threads{kind}", read_timeout=0.2).storage
    taken: list[bytes] = []

    def push_and_pop(index: int) -> None:
        for number in range(EACH):
            storage.enqueue(b"%d-%d" % (index, number))
            storage.incr("count")
        while (data := storage.dequeue()) is not None:
            taken.append(data)

    in_threads(push_and_pop)
    assert sorted(taken) == sorted(b"%d-%d" % (i, n) for i in range(THREADS) for n in range(EACH))
    assert storage.incr("count", 0) == THREADS * EACH
    assert len(storage._clients) == 1
    storage.flush_all()


@pytest.mark.parametrize("family", ["Cluster", "Sentinel"])
def test_one_winner(request: pytest.FixtureRequest, family: str) -> None:
    storage = make(request, family, "Redis", "winner").storage
    winners: list[int] = []

    def try_all(index: int) -> None:
        for number in range(20):
            if storage.put_if_empty(f"lock-{number}", b"%d" % index):
                winners.append(number)

    in_threads(try_all)
    assert sorted(winners) == list(range(20))
    storage.flush_all()


@pytest.mark.parametrize("family", ["Cluster", "Sentinel"])
def test_an_interrupted_read_leaves_no_reply_behind(request: pytest.FixtureRequest, family: str) -> None:
    """Huey's task time-out strikes in the middle of a blocking read: the next command gets its own reply."""
    storage = make(request, family, "Redis", "interrupted", read_timeout=1).storage
    assert storage.queue_size() == 0
    with pytest.raises(TaskTimeout), ProcessEnvironment().timeout(0.2):
        storage.dequeue()
    assert [storage.incr("c") for _ in range(3)] == [1, 2, 3]
    storage.flush_all()


def test_closing_is_not_the_end(request: pytest.FixtureRequest) -> None:
    """Huey's consumer closes the storage before it forks workers; the next operation connects anew."""
    for family in ("Cluster", "Sentinel"):
        storage = make(request, family, "Redis", "closing").storage
        assert storage.close() is False
        storage.enqueue(b"x")
        assert storage.close() is True
        assert storage.dequeue() == b"x"


@pytest.mark.parametrize("operation", ["enqueue", "incr", "read_schedule"])
def test_a_demoted_primary_is_left_at_once(tmp_path_factory: pytest.TempPathFactory, operation: str) -> None:
    """A connection to what has become a replica is dropped when it refuses; the next call asks the sentinel again."""
    folder = tmp_path_factory.mktemp("demoted")
    old, new = servers = [Server(folder / name, {"repl-diskless-sync-delay": 0}) for name in ("old", "new")]
    for server in servers:
        server.start()
    sentinel = sentinel_of(folder / "sentinel", "s", old.port, quorum=1)
    try:
        huey = harness.storages.RedisExpireSentinelHuey("demoted", sentinels=[sentinel.address], service_name="s")
        calls = {
            "enqueue": lambda: huey.storage.enqueue(b"x"),
            "incr": lambda: huey.storage.incr("c"),
            "read_schedule": lambda: huey.storage.read_schedule(datetime.datetime.now()),
        }
        huey.storage.add_to_schedule(b"x", datetime.datetime(2000, 1, 1))
        sentinel.command("SENTINEL", "REMOVE", "s")
        old.command("REPLICAOF", *new.address)
        sentinel.command("SENTINEL", "MONITOR", "s", *new.address, 1)
        huey.storage.conn.llen("any")
        with pytest.raises(ConnectionError):
            calls[operation]()
        calls[operation]()
        assert huey.storage.conn.connection_pool.master_address == new.address
    finally:
        for server in (sentinel, *servers):
            server.kill()


def test_passwords_of_servers_and_sentinels(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("passwords")
    server = Server(folder / "server", {}, password="servers-secret")
    server.start()
    sentinel = sentinel_of(
        folder / "sentinel", "s", server.port, 1, password="sentinels-secret", of_server="servers-secret"
    )
    try:
        where = {"sentinels": [sentinel.address], "service_name": "s"}
        secret = {"password": "servers-secret", "sentinel_kwargs": {"password": "sentinels-secret"}}
        storage = harness.storages.RedisSentinelHuey("secrets", **where, **secret, client_name="me").storage
        storage.enqueue(b"x")
        assert storage.dequeue() == b"x"
        assert storage.conn.client_getname() == "me"
        with pytest.raises(RedisError):
            harness.storages.RedisSentinelHuey("secrets", **where).storage.enqueue(b"x")
    finally:
        sentinel.kill()
        server.kill()


class _SentinelClient:
    """In the place of a sentinel: fails, or answers once all who ask have come."""

    def __init__(self, together: threading.Barrier | None) -> None:
        self._together = together

    def sentinel_masters(self) -> dict[str, Any]:
        if self._together is None:
            raise ConnectionError("dead")
        self._together.wait(10)
        state = {"ip": "h", "port": 1, "is_master": True, "is_sdown": False, "is_odown": False}
        return {"s": {**state, "num-other-sentinels": 0}}


def test_threads_that_search_together_lose_no_sentinel() -> None:
    """redis-py's own search, run by two threads that get the same answer, forgets the sentinel that came before."""
    sentinel = SharedSentinel([("h", 1)] * 3, sentinel_kwargs={})
    clients = [_SentinelClient(None), _SentinelClient(threading.Barrier(THREADS)), _SentinelClient(None)]
    sentinel.sentinels = list(clients)
    in_threads(lambda index: sentinel.discover_master("s"))
    assert set(sentinel.sentinels) == set(clients)


def test_threads_do_not_queue_up_to_read_the_clusters_shape(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no node answers, reading takes its time-outs once, not once for each thread."""
    client = make(request, "Cluster", "Redis", "shape").storage.conn
    readings: list[int] = []
    last_has_come = threading.Event()

    def unanswered() -> None:
        readings.append(1)
        last_has_come.wait(10)
        raise RedisClusterException("no node answers")

    def read(index: int) -> None:
        with contextlib.suppress(ConnectionError):
            client._read_shape()
        last_has_come.set()

    monkeypatch.setattr(client, "_initialize", unanswered)
    monkeypatch.setattr(options, "CONNECT_TIMEOUT_S", 0.1)
    in_threads(read)
    assert len(readings) < THREADS // 2
    monkeypatch.undo()
    client._read_shape()


def test_a_scripts_refusal_by_an_old_replica_ends_the_connection() -> None:
    """Redis 6 and before: the refusal begins with ERR, and names READONLY where redis-py does not look for it."""
    refusal = (
        b"-ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write against a replica.\r\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def replica() -> None:
            client, _ = listener.accept()
            requests = RequestReader()
            with client:
                while data := client.recv(4096):
                    for command in requests.feed(data):
                        client.sendall(refusal if command == "EVAL" else b"+OK\r\n")

        thread = threading.Thread(target=replica)
        thread.start()
        pool = SimpleNamespace(
            is_master=True, service_name="s", check_connection=False, get_master_address=listener.getsockname
        )
        connection = CleanConnection(connection_pool=pool, protocol=2)
        connection.connect()
        connection.send_command("EVAL", "return redis.call('incr', KEYS[1])", 1, "k")
        with pytest.raises(ConnectionError):
            connection.read_response()
        assert connection._sock is None
        thread.join(10)
