"""With `replicas`, an answer means that so many have it; if they do not, who asked is told that the outcome is open."""

from __future__ import annotations

import contextlib
import datetime
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError

from harness.storages import OutcomeUnknown, ReliableRedisHuey
from harness.storages.reliable.steps import Back, Delivery, Settle, Step, new_claim

from .reliable import claim, must_claim, new_queue, put, put_of, settle, text_of
from .servers import HOST, Server, Standalone, eventually, free_port

pytestmark = pytest.mark.cluster
#: WAIT takes half a second, however little there is.
LITTLE_PATIENCE_S = 0.2
NOW = datetime.datetime(2025, 1, 1)


@pytest.fixture
def huey(standalone: Standalone) -> Any:
    assert standalone.replica.alive
    return new_queue(standalone, replicas=1)


@pytest.fixture
def storage(huey: Any) -> Any:
    return huey.storage


@contextlib.contextmanager
def stopped(standalone: Standalone, storage: Any, replicas: int = 1) -> Iterator[None]:
    """The replica does not answer meanwhile, and the storage has little patience with it."""
    replica, patience_s = standalone.replica, storage._patience_s
    replica.signal(signal.SIGSTOP)
    storage._patience_s = LITTLE_PATIENCE_S
    try:
        yield
    finally:
        storage._patience_s = patience_s
        replica.signal(signal.SIGCONT)
        standalone.wait_linked(replicas)


def test_all_is_well_with_the_replica_there(standalone: Standalone, storage: Any) -> None:
    put(storage, "a")
    assert standalone.replica.admin.zcard(storage.keys.queue) == 1
    delivery = must_claim(storage)
    assert standalone.replica.admin.hlen(storage.keys.claims) == 1
    assert settle(storage, delivery) == "ok"
    assert standalone.replica.admin.hlen(storage.keys.claims) == 0


class Prepared:
    """A queue in which something of every kind has happened."""

    def __init__(self, storage: Any) -> None:
        self.known, self.once = put(storage, "known", 9), put_of("once", -1, once=b"today")
        storage.perform(Step(put=self.once))
        self.done = Settle(must_claim(storage), "done")
        assert settle(storage, self.done.delivery) == "ok"
        put(storage, "held", 8)
        self.open_claim = new_claim()
        self.held: Delivery = storage.perform(Step(claim=self.open_claim)).delivery
        put(storage, "dead", 7)
        assert settle(storage, must_claim(storage), "dead") == "ok"
        self.zombie = Delivery(self.held.entry, new_claim(), b"", 1, 1)
        assert storage.lock("acquire", "taken", b"somebody", b"a token", None, 60) == "ok"


#: Each way through each script, the negative ones and the repeats above all: what is answered must be on the replica.
PATHS: dict[str, Callable[[Any, Prepared], Any]] = {
    "put": lambda s, p: s.perform(Step(put=put_of("new"))),
    "put again": lambda s, p: s.perform(Step(put=p.once)),
    "put what is done": lambda s, p: s.perform(Step(put=p.known)),
    "put once more": lambda s, p: s.perform(Step(put=put_of("other", once=b"today"))),
    "claim": lambda s, p: s.perform(Step(claim=new_claim())),
    "claim again": lambda s, p: s.perform(Step(claim=p.open_claim)),
    "settle": lambda s, p: s.perform(Step(settle=Settle(p.held, "done"))),
    "settle again": lambda s, p: s.perform(Step(settle=p.done)),
    "refused": lambda s, p: s.perform(Step(settle=Settle(p.zombie, "done"))),
    "hand back": lambda s, p: s.perform(Step(back=(Back(p.held),))),
    "hand back what is lost": lambda s, p: s.perform(Step(back=(Back(p.zombie),))),
    "move nothing": lambda s, p: s.perform(Step(move=True)),
    "renew": lambda s, p: s.renew([p.held.claim]),
    "renew what is lost": lambda s, p: s.renew([p.zombie.claim]),
    "acquire": lambda s, p: s.lock("acquire", "free", p.held.claim, b"t", None, 0),
    "acquire what is taken": lambda s, p: s.lock("acquire", "taken", p.held.claim, b"t", None, 0),
    "look at a lock": lambda s, p: s.lock("look", "free", b"", b"", None, 0),
    "release another's lock": lambda s, p: s.lock("release", "taken", p.held.claim, b"t", None, 0),
    "read the schedule": lambda s, p: s.read_schedule(NOW),
    "retry a dead letter": lambda s, p: s.retry_dead("dead"),
    "drop a dead letter": lambda s, p: s.drop_dead("dead"),
    "adopt nothing": lambda s, p: s.adopt(),
    "flush nothing": lambda s, p: s.flush_schedule(),
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_answer_without_the_replica(standalone: Standalone, storage: Any, path: str) -> None:
    prepared = Prepared(storage)
    with stopped(standalone, storage), pytest.raises(OutcomeUnknown, match="0 of 1 replicas had the write"):
        PATHS[path](storage, prepared)


def test_an_empty_queue_is_an_answer_too(standalone: Standalone, storage: Any) -> None:
    assert claim(storage) is None
    with stopped(standalone, storage), pytest.raises(OutcomeUnknown):
        claim(storage)


def test_the_answer_to_a_repeat_waits_for_the_first_write(standalone: Standalone, storage: Any) -> None:
    """The first attempt was carried out, and nobody heard of it: a repeat that finds it done waits all the same."""
    one = put_of("a")
    with stopped(standalone, storage):
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                storage.perform(Step(put=one))
    assert not storage.perform(Step(put=one)).dropped
    assert storage.queue_size() == 1


def test_a_lease_whose_answer_was_open_is_asked_for_under_the_same_id(standalone: Standalone, huey: Any) -> None:
    storage = huey.storage
    put(storage, "a")
    put(storage, "b")
    with stopped(standalone, storage), pytest.raises(OutcomeUnknown):
        storage.take()
    first = storage.take()
    assert (text_of(first), first.number, len(storage.held()["leased"])) == ("a", 1, 1)
    with stopped(standalone, storage), pytest.raises(OutcomeUnknown):
        storage.take()
    # Nor does one that stops leave it behind.
    storage.hand_back_ahead()
    assert (len(storage.held()["leased"]), storage.queue_size()) == (1, 1)


def test_a_task_whose_end_is_open_is_not_lost(standalone: Standalone, huey: Any) -> None:
    @huey.task()
    def work() -> int:
        return 1

    result = work()
    task = huey.dequeue()
    with stopped(standalone, huey.storage), pytest.raises(OutcomeUnknown):
        huey.execute(task)
    # It was carried out, or is done again once its lease is over. Here it was.
    assert (result(), huey.storage.held()["leased"]) == (1, [])


def test_patience_is_kept_and_an_outcome_that_is_certain_is_not_called_open(tmp_path: Path) -> None:
    server = Server(tmp_path / "server", {})
    server.start()
    try:
        where = {"host": HOST, "port": server.port}
        huey = ReliableRedisHuey("gone", **where, patience_s=0.5, remember_s=1)
        put(huey.storage, "a")
        server.signal(signal.SIGSTOP)
        begun = time.monotonic()
        # A new connection: it is not as far as to send the request when its time is up.
        fresh = ReliableRedisHuey("gone", **where, patience_s=0.5, remember_s=1, socket_timeout=0.2)
        with pytest.raises(Exception) as caught:
            put(fresh.storage, "b")
        assert not isinstance(caught.value, OutcomeUnknown)
        assert time.monotonic() - begun < 2
        with pytest.raises(OutcomeUnknown, match="the outcome is open"):
            put(huey.storage, "c")
        server.signal(signal.SIGCONT)
        eventually("the server answers", server.admin.ping, 5)
        server.kill()
        with pytest.raises(ConnectionError) as refused:
            put(fresh.storage, "d")
        assert not isinstance(refused.value, OutcomeUnknown)
    finally:
        server.kill()
        server.admin.close()


def test_no_server_at_all() -> None:
    huey = ReliableRedisHuey("nowhere", host=HOST, port=free_port(), patience_s=0.3, remember_s=1)
    begun = time.monotonic()
    with pytest.raises(ConnectionError, match="refused"):
        huey.dequeue()
    assert 0.25 < time.monotonic() - begun < 2


def test_alive(standalone: Standalone, tmp_path: Path) -> None:
    """As many as the primary sees alive: a stopped one counts, one that is gone does not, and one is the least."""
    assert standalone.replica.alive
    second = Server(tmp_path / "second", {"repl-diskless-sync-delay": 0})
    second.start()
    storage = new_queue(standalone, replicas="alive").storage
    strict = new_queue(standalone, replicas=2).storage
    try:
        second.command("REPLICAOF", *standalone.server.address)
        standalone.wait_linked(2)
        put(storage, "a")
        put(strict, "a")
        with stopped(standalone, storage, replicas=2), pytest.raises(OutcomeUnknown, match="1 of 2"):
            put(storage, "b")
        second.kill()
        standalone.wait_linked(1)
        put(storage, "c")
        strict._patience_s = LITTLE_PATIENCE_S
        with pytest.raises(OutcomeUnknown, match="1 of 2"):
            put(strict, "c")
        with stopped(standalone, storage), pytest.raises(OutcomeUnknown, match="0 of 1"):
            put(storage, "d")
        put(storage, "e")
    finally:
        second.kill()
        second.admin.close()


def test_alive_without_a_replica(tmp_path: Path) -> None:
    server = Server(tmp_path / "alone", {})
    server.start()
    try:
        huey = ReliableRedisHuey(
            "alone", host=HOST, port=server.port, replicas="alive", patience_s=LITTLE_PATIENCE_S, remember_s=1
        )
        with pytest.raises(OutcomeUnknown, match="0 of 1 replicas"):
            put(huey.storage, "a")
    finally:
        server.kill()
        server.admin.close()
