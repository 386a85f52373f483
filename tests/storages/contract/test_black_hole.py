"""BlackHoleHuey: takes everything, and nothing comes out."""

from __future__ import annotations

from typing import Any

from huey import BlackHoleHuey
from huey.constants import EmptyData

from .rules.schedule import T


def test_nothing_comes_out() -> None:
    s: Any = BlackHoleHuey().storage
    s.enqueue(b"a", priority=5)
    s.add_to_schedule(b"b", T)
    s.put_data("k", b"v", is_result=True)
    assert [s.put_if_empty("k", b"v", ttl=1), s.put_if_empty("k", b"v")] == [True, True]
    assert [s.incr("n"), s.incr("n", 5), s.delete_counter("n")] == [1, 5, None]
    assert [s.dequeue(), s.queue_size(), s.enqueued_items(3)] == [None, 0, []]
    assert [s.read_schedule(T), s.schedule_size(), s.scheduled_items(3)] == [[], 0, []]
    assert [s.peek_data("k"), s.pop_data("k"), s.has_data_for_key("k"), s.delete_data("k")] == [
        EmptyData, EmptyData, False, False,
    ]  # fmt: skip
    assert [s.peek_many(["k"]), s.result_items(), s.result_store_size()] == [{}, {}, 0]
    assert [s.wait_result("k", timeout=0), s.flush_all(), s.close()] == [False, None, None]
