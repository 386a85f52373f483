"""put_data, peek_data, peek_many, pop_data, has_data_for_key, put_if_empty, delete_data, wait_result, result_*."""

from __future__ import annotations

import threading
import time
from typing import Any

from huey.constants import EmptyData

from ..places import Bench
from ..subjects import EXPIRE_S, SOCKET_TIMEOUT_S, Subject
from . import attempt, rule
from .queue import PAYLOADS

KEYS = ("plain", "ключ-🔑", "a b/c\\..\n*?[x]", "k" * 5000)


def expires(subject: Subject) -> bool:
    return subject.expires


def notifies(subject: Subject) -> bool:
    return subject.notifies


@rule(expects=[EmptyData, EmptyData, False, False, {}, 0, {}, None])
def data_absent(s: Any, _: Bench) -> Any:
    """Nothing under a key is EmptyData, whichever way one looks."""
    return [
        *(s.peek_data("k"), s.pop_data("k"), s.has_data_for_key("k"), s.delete_data("k")),
        *(s.peek_many(["k", "l"]), s.result_store_size(), s.result_items(), s.flush_results()),
    ]


@rule(expects=[b"second", True, 1, {"k": b"second"}])
def data_put(s: Any, _: Bench) -> Any:
    """The last value put under a key is there, once."""
    s.put_data("k", b"the first one, and longer", is_result=True)
    s.put_data("k", b"second", is_result=True)
    return [s.peek_data("k"), s.has_data_for_key("k"), s.result_store_size(), s.result_items()]


@rule(expects=lambda subject: [b"v", b"v", b"v", b"v" if subject.expires else EmptyData, int(subject.expires)])
def data_pop(s: Any, _: Bench) -> Any:
    """A peek takes nothing away, a pop does; where results expire by themselves, they are kept until then."""
    s.put_data("k", b"v", is_result=True)
    return [s.peek_data("k"), s.peek_data("k"), s.pop_data("k"), s.pop_data("k"), s.result_store_size()]


@rule(expects=[True] * 3)
def data_values(s: Any, _: Bench) -> Any:
    """A value is bytes, any and however many."""
    for n, payload in enumerate(PAYLOADS):
        s.put_data(f"k{n}", payload)
    peeked = [s.peek_data(f"k{n}") for n in range(len(PAYLOADS))]
    items = s.result_items()
    popped = [s.pop_data(f"k{n}") for n in range(len(PAYLOADS))]
    return [
        peeked == popped == list(PAYLOADS),
        items == {f"k{n}": payload for n, payload in enumerate(PAYLOADS)},
        all(type(one) is bytes for one in (*peeked, *popped, *items.values())),
    ]


@rule(expects=[list(KEYS), dict.fromkeys(KEYS, b"v"), dict.fromkeys(KEYS, b"v"), len(KEYS), [True] * len(KEYS), 0])
def data_keys(s: Any, _: Bench) -> Any:
    """A key is any text, and comes back as that."""
    for key in KEYS:
        s.put_data(key, b"v")
    return [
        *([key for key in KEYS if s.peek_data(key) == b"v"], s.peek_many(KEYS), s.result_items()),
        *(s.result_store_size(), [s.delete_data(key) for key in KEYS], s.result_store_size()),
    ]


@rule(expects=[b"v", b"v", 1])
def data_keys_as_bytes(s: Any, _: Bench) -> Any:
    """BaseStorage says that keys are bytes, and Huey hands in text: both name the same entry."""
    s.put_data(b"k", b"v")
    s.put_data("l", b"v")
    found = [s.peek_data("k"), s.peek_data(b"l")]
    s.delete_data("k")
    return [*found, s.result_store_size()]


@rule(expects=[b"v", 1])
def data_keys_that_are_no_text(s: Any, _: Bench) -> Any:
    """A key of bytes need not be UTF-8, and does not keep anybody from looking at the others."""
    s.put_data(b"\xff\0", b"v")
    return [s.peek_data(b"\xff\0"), attempt(lambda: len(s.result_items()))]


@rule(expects=[True, False, EmptyData])
def data_delete(s: Any, _: Bench) -> Any:
    """Whether there was something to delete."""
    s.put_data("k", b"")
    return [s.delete_data("k"), s.delete_data("k"), s.peek_data("k")]


@rule(expects=["bool"] * 6)
def data_answers_are_booleans(s: Any, _: Bench) -> Any:
    """A boolean is a boolean."""
    answers = [s.put_if_empty("k", b"v"), s.put_if_empty("k", b"v"), s.has_data_for_key("k"), s.has_data_for_key("l")]
    return [type(one).__name__ for one in (*answers, s.delete_data("k"), s.delete_data("k"))]


@rule(expects=[True, False, b"", True, True, b"later"])
def data_put_if_empty(s: Any, _: Bench) -> Any:
    """The first to come puts; an empty value is a value; what was deleted can be put again."""
    return [
        *(s.put_if_empty("k", b""), s.put_if_empty("k", b"second"), s.peek_data("k")),
        *(s.delete_data("k"), s.put_if_empty("k", b"later"), s.peek_data("k")),
    ]


@rule(
    expects=lambda subject: (
        ["raised NotImplementedError", EmptyData, True] if subject.ttl == "refused" else [True, b"v", False]
    )
)
def data_put_if_empty_with_ttl(s: Any, _: Bench) -> Any:
    """Who knows no lifetime says so, and stores nothing."""
    return [attempt(s.put_if_empty, "k", b"v", ttl=60), s.peek_data("k"), s.put_if_empty("k", b"w")]


@rule(expects={"a": b"1", "c": b""})
def data_peek_many(s: Any, _: Bench) -> Any:
    """What is there of what was asked for, by the keys that were asked for; an empty value is there."""
    s.put_data("a", b"1")
    s.put_data("c", b"")
    s.put_data("d", b"2")
    return s.peek_many(["a", "b", "c", "a"])


@rule(expects={})
def data_peek_none(s: Any, _: Bench) -> Any:
    """Of no keys there are no values."""
    s.put_data("a", b"1")
    return s.peek_many([])


@rule(expects=[{"b": b"2"}, {}])
def data_flush(s: Any, _: Bench) -> Any:
    """Flushed is empty, and goes on as before."""
    s.put_data("a", b"1")
    s.flush_results()
    s.put_data("b", b"2")
    found = s.result_items()
    s.flush_results()
    return [found, s.result_items()]


@rule(expects=[b"v", False, EmptyData])
def data_of_two_clients(s: Any, bench: Bench) -> Any:
    """Clients of one queue see one result store."""
    other = bench.open()
    s.put_data("k", b"v")
    found = [other.peek_data("k"), other.put_if_empty("k", b"w")]
    other.delete_data("k")
    return [*found, s.peek_data("k")]


@rule(expects=[True, True, -1, -1], applies=expires)
def data_expires(s: Any, _: Bench) -> Any:
    """A result has a lifetime, and a counter; what else Huey stores has none."""
    s.put_data("result", b"v", is_result=True)
    s.put_data("lock", b"v")
    s.put_if_empty("lock-2", b"v")
    s.incr("n")
    lifetimes = [s.conn.ttl(key) for key in (s.result_key("result"), s.counter_key("n"))]
    kept = [s.conn.ttl(s.result_key(key)) for key in ("lock", "lock-2")]
    return [*(0 < ttl <= EXPIRE_S for ttl in lifetimes), *kept]


@rule(expects=[True, False])
def wait_for_a_result(s: Any, _: Bench) -> Any:
    """What is there need not be waited for; what does not come in time is not there."""
    s.put_data("k", b"v", is_result=True)
    return [s.wait_result("k", timeout=5), s.wait_result("l", timeout=0.01)]


@rule(expects=[False], applies=notifies)
def wait_for_a_result_by_bytes(s: Any, _: Bench) -> Any:
    """BaseStorage says that keys are bytes."""
    return [attempt(s.wait_result, b"absent", timeout=0.01)]


@rule(expects=[False, "at once"])
def wait_for_a_result_not_at_all(s: Any, _: Bench) -> Any:
    """With a time-out of 0 the answer comes at once."""
    begun = time.monotonic()
    found = s.wait_result("absent", timeout=0)
    return [found, "at once" if time.monotonic() - begun < SOCKET_TIMEOUT_S else "after the socket's time-out"]


@rule(expects=False)
def wait_for_a_result_that_was_read(s: Any, _: Bench) -> Any:
    """True says that the result is there: not that it was, until somebody read it."""
    s.put_data("k", b"v", is_result=True)
    s.delete_data("k")
    return s.wait_result("k", timeout=0.01)


@rule(expects=["waits", True], applies=notifies)
def wait_for_a_result_longer_than_the_socket(s: Any, bench: Bench) -> Any:
    """Without a time-out the wait ends when the result comes, however late."""
    other, found = bench.open(), []
    thread = threading.Thread(target=lambda: found.append(other.wait_result("k")), daemon=True)
    thread.start()
    thread.join(2 * SOCKET_TIMEOUT_S)
    seen = "waits" if thread.is_alive() else "gave up"
    s.put_data("k", b"v", is_result=True)
    thread.join(15)
    return [seen, *found]
