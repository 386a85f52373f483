from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checkers import Context
from harness.checkers.periodic import check
from tests.checkers.scripts import history

#: Periods of 100, the fifth began at 0; asked for from the fifth to the ninth.
ASKED = "1-2 p ask_rate value=5 eta=0\n400-401 p ask_rate value=9 eta=400\n"


def look(at: int, who: str = "c/scheduler") -> str:
    return f"{at}-{at + 1} {who} read_schedule\n"


def ticks(at: int, task: int, period: int, who: str = "c/scheduler") -> str:
    return (
        look(at, who) + f"{at + 2}-{at + 3} {who} enqueue {task}\n{at + 4}-{at + 5} {who}x tick {task} value={period}\n"
    )


ALL = "".join(ticks(50 + 100 * at, at, 5 + at) for at in range(5))
CASES = {
    "once a period": (ASKED + ALL, {}),
    "twice": (ASKED + ALL + ticks(460, 9, 9, "d/scheduler"), {"ticked_twice": 1}),
    "one task, done twice": (ASKED + ALL + "490-491 c tick 4 value=9", {}),
    "missed": (ASKED + ALL.replace(ticks(250, 2, 7), look(250)), {"missed_period": 1}),
    "nobody looked": (ASKED + ALL.replace(ticks(250, 2, 7), ""), {}),
    "somebody looked at its edge": (ASKED + ALL.replace(ticks(250, 2, 7), look(290)), {}),
    "it was enqueued, and never ran": (
        ASKED + ALL.replace(ticks(250, 2, 7), look(250) + "252-253 c/scheduler enqueue 2\n"),
        {},
    ),
    "what it enqueued was refused": (
        ASKED + ALL.replace(ticks(250, 2, 7), look(250) + "252-253x c/scheduler enqueue 2\n"),
        {"missed_period": 1},
    ),
    "the server's own word is no look": (ASKED + ALL.replace(ticks(250, 2, 7), look(250, "c/scheduler/server")), {}),
    "one of two schedulers ticked": (ASKED + ALL + look(255, "d/scheduler"), {}),
    "never": (ASKED + look(50) + look(150), {"missed_period": 2}),
    "not asked for any more": (ASKED + ALL + look(550), {}),
    "a rate that a task is held to": ("0-1 p ask_rate 1 value=5", {}),
    "nothing periodic": ("0-1 p enqueue 1", {}),
}


@pytest.mark.parametrize(("script", "expected"), CASES.values(), ids=CASES)
def test_case(script: str, expected: dict[str, int]) -> None:
    counts = check(history(script), Context()).counts
    assert {name: count for name, count in counts.items() if count} == expected


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["tick", "look", "no"])), max_size=12))
def test_as_a_slow_twin_has_it(doings: list[tuple[int, str]]) -> None:
    script = "1-2 p ask_rate value=0 eta=0\n600-601 p ask_rate value=6 eta=600\n"
    for at, (period, what) in enumerate(doings):
        if what == "tick":
            script += ticks(50 + 100 * period, at, period, f"c{at}/scheduler")
        elif what == "look":
            script += look(50 + 100 * period, f"c{at}/scheduler")
    counts = check(history(script), Context()).counts
    ticked = [period for period, what in doings if what == "tick"]
    looked = {period for period, what in doings if what == "look"}
    assert counts == {
        "ticked_twice": sum(ticked.count(period) > 1 for period in set(ticked)),
        "missed_period": len(looked - set(ticked)),
    }


@pytest.mark.parametrize("seed", range(10))
def test_mutations_of_a_valid_history_are_noticed(seed: int) -> None:
    at = random.Random(seed).randrange(1, 5)
    one = ticks(50 + 100 * at, at, 5 + at)
    mutations = {
        "dropped": look(50 + 100 * at),
        "doubled": one + ticks(60 + 100 * at, 50, 5 + at, "d/scheduler"),
        "shifted": ticks(50 + 100 * at, at, 4 + at),
    }
    for name, mutated in mutations.items():
        assert check(history(ASKED + ALL.replace(one, mutated)), Context()).findings, name
