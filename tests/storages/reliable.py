"""What the tests of the reliable storages share: queues of their own, and steps in short."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

from harness.storages import ReliableRedisHuey
from harness.storages.reliable.steps import Answer, Back, Delivery, Envelope, Put, Settle, Step, new_claim, new_entry

from .servers import Standalone

_numbers = itertools.count()


def new_queue(standalone: Standalone, **options: Any) -> Any:
    """A Huey whose queue is empty; reads of it block for 50 ms."""
    options = {"name": f"reliable{next(_numbers)}", "read_timeout": 0.05, **options}
    return ReliableRedisHuey(**standalone.where, **options)


def put_of(text: str, priority: float = 0, **options: Any) -> Put:
    """A put whose task's id is the text."""
    message = Envelope(b"payload of " + text.encode(), priority, text.encode(), b"rt:class").seal()
    return Put(new_entry(message), message, priority, **options)


def put(storage: Any, text: str, priority: float = 0, **options: Any) -> Put:
    """Carry such a put out."""
    one = put_of(text, priority, **options)
    storage.perform(Step(put=one))
    return one


def claim(storage: Any) -> Delivery | None:
    """Lease the next task."""
    delivery: Delivery | None = storage.perform(Step(claim=new_claim())).delivery
    return delivery


def must_claim(storage: Any) -> Delivery:
    """Lease the next task, which is there."""
    delivery = claim(storage)
    assert delivery is not None
    return delivery


def settle(storage: Any, delivery: Delivery, outcome: str | None = "done", **options: Any) -> str:
    """End a delivery: `ok` or `refused`."""
    answer: Answer = storage.perform(Step(settle=Settle(delivery, outcome, **options)))
    return answer.settled


def back(storage: Any, *deliveries: Delivery, error: str = "") -> tuple[bool, ...]:
    """Hand deliveries back."""
    answer: Answer = storage.perform(Step(back=tuple(Back(one, error) for one in deliveries)))
    return answer.handed


def expire(storage: Any, delivery: Delivery) -> None:
    """Let a lease have run out long ago. The next step takes it back."""
    long_due(storage, storage.keys.leases, delivery.claim)


def long_due(storage: Any, key: str, member: bytes) -> None:
    """Let a deadline in the schedule, or among the leases, have been long ago, and nobody have looked since."""
    assert storage.conn.zadd(key, {member: 1}, xx=True, ch=True) == 1
    storage.conn.hdel(storage.keys.meta, "look")


def untimed(delivery: Delivery) -> Delivery:
    """All of it but when the server told of it."""
    return delivery._replace(leased_ms=0)


def text_of(delivery: Delivery | None) -> str | None:
    """The text of put_of."""
    return None if delivery is None else delivery.entry[12:].decode()


def drain(storage: Any) -> list[str | None]:
    """What the queue holds, in its order; all of it is done then."""
    found = []
    for _ in range(10_000):
        delivery = claim(storage)
        if delivery is None:
            return found
        found.append(text_of(delivery))
        assert settle(storage, delivery) == "ok"
    raise AssertionError("the queue does not end")


def remains(storage: Any) -> dict[str, int]:
    """How much each key of the queue holds, but for what is kept for a while after completions."""
    sizes = {
        b"zset": storage.conn.zcard, b"hash": storage.conn.hlen, b"list": storage.conn.llen, b"none": lambda _: 0
    }  # fmt: skip
    return {
        role: size
        for role, key in vars(storage.keys).items()
        if role not in ("meta", "done", "done_old", "wake") and (size := sizes[storage.conn.type(key)](key))
    }


def run_next(huey: Any) -> Any:
    """Lease and execute the next task, as a worker does."""
    task = huey.dequeue()
    assert task is not None, "nothing to do"
    return huey.execute(task)


def run_all(huey: Any) -> int:
    """Execute tasks until there are no more; how many it were."""
    for count in range(10_000):
        task = huey.dequeue()
        if task is None:
            return count
        huey.execute(task)
    raise AssertionError("the queue does not end")


@contextlib.contextmanager
def steps_of(storage: Any) -> Iterator[list[Step]]:
    """The steps that the storage carries out meanwhile."""
    steps: list[Step] = []
    perform = storage.perform

    def recorded(step: Step) -> Answer:
        steps.append(step)
        answer: Answer = perform(step)
        return answer

    storage.perform = recorded
    try:
        yield steps
    finally:
        storage.perform = perform
