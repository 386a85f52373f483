"""Two clients at once: what they see can have come about one operation after the other."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from huey.storage import MemoryStorage
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .finds import find_of
from .linear import Call, linearizable
from .model import Model
from .operations import Operation, of_two_clients
from .params import param
from .places import Bench
from .subjects import SUBJECTS

EXAMPLES, OPERATIONS, DEADLINE_S = 25, 4, 30


class Client:
    """Carries out a program in a thread of its own, and notes each call."""

    def __init__(
        self, storage: Any, program: list[Operation], clock: Iterator[int], barrier: threading.Barrier
    ) -> None:
        self.calls: list[Call] = []
        self.error: BaseException | None = None
        self._given = (storage, program, clock, barrier)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        storage, program, clock, barrier = self._given
        try:
            barrier.wait(DEADLINE_S)
            for name, arguments in program:
                called = next(clock)
                answer = getattr(storage, name)(*arguments)
                self.calls.append(Call(name, arguments, answer, called, next(clock)))
        except BaseException as error:
            self.error = error


def _numbered(program: list[Operation], client: str) -> list[Operation]:
    """Each payload is its own: what comes out says what went in."""
    place = {"enqueue": 0, "add_to_schedule": 0, "put_data": 1, "put_if_empty": 1}
    found = []
    for number, (name, arguments) in enumerate(program):
        if name in place:
            at = place[name]
            arguments = (*arguments[:at], f"{client}{number}".encode(), *arguments[at + 1 :])
        found.append((name, arguments))
    return found


def run(storages: list[Any], programs: list[list[Operation]]) -> list[Call]:
    """The programs at once, and then what is there in the end."""
    clock, barrier = itertools.count(), threading.Barrier(len(programs))
    clients = [Client(storage, program, clock, barrier) for storage, program in zip(storages, programs, strict=True)]
    for client in clients:
        client.thread.start()
    for client in clients:
        client.thread.join(DEADLINE_S)
        assert not client.thread.is_alive(), f"not within {DEADLINE_S} s: a client's program of {OPERATIONS} operations"
        if client.error is not None:
            raise client.error
    at_the_end = [
        Call(name, (), getattr(storages[0], name)(), next(clock), next(clock))
        for name in ("enqueued_items", "scheduled_items", "result_items")
    ]
    return [*(call for client in clients for call in client.calls), *at_the_end]


@pytest.mark.parametrize("opened", [param(one) for one in SUBJECTS if one.principal], indirect=True)
def test_what_two_clients_see_at_once_is_possible(bench: Bench) -> None:
    subject, storages = bench.subject, [bench.storage, bench.open()]
    # Known finds: what is enqueued in one tick of the clock, or at once, comes out in any order.
    loose = any(
        find_of(rule, subject) for rule in ("queue-fifo-in-one-tick", "queue-fifo-around-a-dequeue-in-one-tick")
    )
    program = st.lists(of_two_clients(subject), min_size=1, max_size=OPERATIONS)

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(program, program)
    def check(one: list[Operation], other: list[Operation]) -> None:
        bench.storage.flush_all()
        calls = run(storages, [_numbered(one, "a"), _numbered(other, "b")])
        history = "\n".join(map(str, sorted(calls, key=lambda call: call.called)))
        assert linearizable(Model(subject, loose), calls), f"no order of these explains them:\n{history}"

    check()


class Torn(MemoryStorage):  # type: ignore[misc]
    """A planted fault: whoever takes a task looks first, and takes then, and both have looked before either takes."""

    def __init__(self) -> None:
        super().__init__("torn")
        self._looked = threading.Barrier(2)

    def dequeue(self) -> Any:
        items = self.enqueued_items()
        self._looked.wait(DEADLINE_S)
        super().dequeue()
        return items[0] if items else None


def test_a_planted_fault_is_found() -> None:
    storage = Torn()
    storage.enqueue(b"once")
    before = [Call("enqueue", (b"once",), None, -2, -1)]
    calls = run([storage, storage], [[("dequeue", ())], [("dequeue", ())]])
    assert [call.answer for call in calls[:2]] == [b"once", b"once"]
    memory = next(one for one in SUBJECTS if one.name == "memory")
    assert not linearizable(Model(memory), [*before, *calls])
