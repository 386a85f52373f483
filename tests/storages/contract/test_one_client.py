"""One client: after every step of any sequence, all that can be seen is what the model says."""

from __future__ import annotations

from typing import Any

import pytest
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

EXAMPLES, STEPS = 8, 25


def machine(bench: Bench) -> type[RuleBasedStateMachine]:
    """The state machine of one subject."""
    subject, arguments = bench.subject, changes(bench.subject)
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

        @rule(drawn=st.sampled_from(sorted(arguments)).flatmap(lambda n: st.tuples(st.just(n), arguments[n])))
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
    found = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, derandomize=True, deadline=None, database=None,
        print_blob=False, suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    # Two clocks in one tick, or one that steps back, are known finds: here each reading is a tick later.
    with clocks.ticking():
        run_state_machine_as_test(machine(bench), settings=found)  # type: ignore[no-untyped-call]


def test_the_model_can_be_disagreed_with() -> None:
    model = Model(next(one for one in SUBJECTS if one.name == "memory"))
    assert model.takes("dequeue", (), b"x") is None
    assert model.takes("incr", ("a", 2), 1) is None
