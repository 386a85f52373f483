"""incr, delete_counter, flush_counters: since Huey 3."""

from __future__ import annotations

from typing import Any

from huey.storage import BaseStorage

from ..places import Bench
from ..subjects import Subject
from . import rule


def counts(_: Subject) -> bool:
    return hasattr(BaseStorage, "incr")


@rule(expects=[1, 2, 12, 7, 7, -1, 1 << 40], applies=counts)
def counter_steps(s: Any, _: Bench) -> Any:
    """A counter begins at 0, and each step answers with what it is then."""
    return [
        *(s.incr("a"), s.incr("a"), s.incr("a", 10), s.incr("a", amount=-5), s.incr("a", 0)),
        *(s.incr("b", -1), s.incr("ключ-🔑", 1 << 40)),
    ]


@rule(expects=[1, None, None, 1, 2], applies=counts)
def counter_delete(s: Any, _: Bench) -> Any:
    """A deleted counter begins anew; to delete one that is not there does nothing."""
    return [s.incr("a"), s.delete_counter("a"), s.delete_counter("a"), s.incr("a"), s.incr("a")]


@rule(expects=[1, 1, b"v", 1, {"k": b"v"}], applies=counts)
def counter_is_no_result(s: Any, _: Bench) -> Any:
    """A counter and a value of the same name do not know of each other, nor do their flushes."""
    first = s.incr("k")
    s.put_data("k", b"v")
    s.flush_counters()
    return [first, s.incr("k"), s.peek_data("k"), s.result_store_size(), s.result_items()]


@rule(expects=[2, 3], applies=counts)
def counter_keys_as_bytes(s: Any, _: Bench) -> Any:
    """Text and its bytes name the same counter."""
    s.incr("k")
    return [s.incr(b"k"), s.incr("k")]


@rule(expects=[1, 2, 3], applies=counts)
def counter_of_two_clients(s: Any, bench: Bench) -> Any:
    """Clients of one queue count together."""
    other = bench.open()
    return [s.incr("k"), other.incr("k"), s.incr("k")]
