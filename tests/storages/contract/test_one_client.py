"""One client: after every step of any sequence, all that can be seen is what the model says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from huey.storage import MemoryStorage
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from . import clocks
from .finds import find_of
from .model import Model
from .operations import KEYS, changes, limits
from .params import param
from .places import Bench
from .subjects import SUBJECTS

EXAMPLES, STEPS = 15, 25
#: The same sequences each time: what fails, fails again under the same name.
SETTINGS = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, derandomize=True, deadline=None, database=None,
    print_blob=False, suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
)  # fmt: skip


def machine(bench: Bench) -> type[RuleBasedStateMachine]:
    """The state machine of one subject."""
    subject, arguments = bench.subject, changes(bench.subject)
    # What fills is drawn more often than what empties: order is to be seen among several.
    flushes = st.sampled_from([name for name in sorted(arguments) if name.startswith("flush")])
    fills = st.sampled_from(["enqueue", "add_to_schedule", "enqueue", "put_data", "incr"])
    takes = st.sampled_from([name for name in sorted(arguments) if not name.startswith("flush")])
    names = st.integers(0, 9).flatmap(lambda n: flushes if n == 9 else takes if n > 4 else fills)
    once_a_payload = find_of("schedule-identical", subject) is not None

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            bench.storage.flush_all()
            self.model = Model(subject)

        def both(self, name: str, *given: Any) -> None:
            answer = getattr(bench.storage, name)(*given)
            after = self.model.takes(name, given, answer)
            assert after is not None, f"{name}{given!r} answered {answer!r}, of {self.model!r}"
            self.model = after

        @rule(drawn=names.flatmap(lambda name: st.tuples(st.just(name), arguments[name])))
        def change(self, drawn: Any) -> None:
            name, given = drawn
            if name == "add_to_schedule" and once_a_payload and any(given[0] == one for _, one in self.model.schedule):
                return
            self.both(name, *given)

        @rule(key=KEYS, keys=st.lists(KEYS, min_size=1), limit=limits(subject))
        def look(self, key: str, keys: list[str], limit: int | None) -> None:
            for name in ("peek_data", "has_data_for_key"):
                self.both(name, key)
            self.both("peek_many", keys)
            self.both("enqueued_items", limit)
            if subject.ties != "any":
                self.both("scheduled_items", limit)

        @invariant()
        def all_is_as_the_model_says(self) -> None:
            for name in ("queue_size", "enqueued_items", "schedule_size", "scheduled_items", "result_store_size"):
                self.both(name)
            self.both("result_items")

    return Machine


@pytest.mark.parametrize("opened", [param(one) for one in SUBJECTS if one.principal], indirect=True)
def test_a_sequence_of_operations_does_what_the_model_does(bench: Bench) -> None:
    # Two clocks in one tick, or one that steps back, are known finds: here each reading is a tick later.
    with clocks.ticking():
        run_state_machine_as_test(machine(bench), settings=SETTINGS)  # type: ignore[no-untyped-call]


class LastFirst(MemoryStorage):  # type: ignore[misc]
    """A planted fault: of two tasks with the same priority the later one comes out first."""

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        self._c -= 2
        super().enqueue(data, priority)


def test_a_planted_fault_is_found() -> None:
    memory = next(one for one in SUBJECTS if one.name == "memory")
    broken = cast(Bench, SimpleNamespace(subject=memory, storage=LastFirst()))
    with pytest.raises(AssertionError, match="enqueued_items"):
        run_state_machine_as_test(machine(broken), settings=SETTINGS)  # type: ignore[no-untyped-call]
