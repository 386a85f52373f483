from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checkers import Context
from harness.checkers.locks import check
from harness.history import log
from harness.history.columns import History
from harness.protocols import FaultRecord
from tests.checkers.scripts import Op, build, history, parse

S = 1_000_000_000
#: Struck from 10 s to 11 s.
KILL = FaultRecord(
    index=0, kind="kill", target="consumer", struck=("consumer-0",), classes=("worker-crash",),
    injected_ns=10 * S, landed=True, landed_ns=10 * S, healed_ns=11 * S, proof="", healed=True, heal_proof="",
    in_flight=1,
)  # fmt: skip

ONE = "0-1 a lock 1 value=1\n5-6 a unlock 1 value=1\n"
CASES = {
    "one after the other": (ONE + "6-7 b lock 2 value=1\n8-9 b unlock 2 value=1", {}),
    "two locks": (ONE + "2-3 b lock 2 value=2\n4-5 b unlock 2 value=2", {}),
    "both": (ONE + "2-3 b lock 2 value=1\n4-6 b unlock 2 value=1", {"two_holders": 1}),
    "one within the other, and a third": (
        "0-1 a lock 1 value=1\n2-3 b lock 2 value=1\n4-5 b unlock 2 value=1\n6-7 b lock 3 value=1\n"
        "8-9 b unlock 3 value=1\n10-11 a unlock 1 value=1",
        {"two_holders": 2},
    ),
    "it may have been given back in time": (ONE + "2-5 b lock 2 value=1\n7-8 b unlock 2 value=1", {}),
    "nobody knows whether he got it": (
        "0-1? a lock 1 value=1\n5-6 a unlock 1 value=1\n2-3 b lock 2 value=1\n4-5 b unlock 2 value=1",
        {},
    ),
    "he may be gone": ("0-1 a lock 1 value=1\n2-3 b lock 2 value=1\n4-5 b unlock 2 value=1", {}),
    "its lifetime was over": (
        "0-1 a lock 1 value=1 eta=3\n3-4 b lock 2 value=1 eta=9\n5-6 b unlock 2 value=1\n8-9 a unlock 1 value=1",
        {},
    ),
    "its lifetime was not over": (
        "0-1 a lock 1 value=1 eta=5\n3-4 b lock 2 value=1 eta=9\n5-6 b unlock 2 value=1\n8-9 a unlock 1 value=1",
        {"two_holders": 1},
    ),
    "refused while somebody has it": (ONE + "2-3x b lock 2 value=1", {}),
    "refused while somebody may have it": (ONE + "6-7x b lock 2 value=1", {}),
    "refused when nobody has it": (ONE + "7-8x b lock 2 value=1", {"lock_not_freed": 1}),
    "refused before anybody had it": (
        "0-1x b lock 2 value=1\n2-3 a lock 1 value=1\n4-5 a unlock 1 value=1",
        {"lock_not_freed": 1},
    ),
    "another lock excuses nothing": (ONE + "5-6 c lock 3 value=2\n7-8x b lock 2 value=1", {"lock_not_freed": 1}),
    "who was refused it has lost his task": (ONE + "7-8 c/server requeue 2\n9-10x b lock 2 value=1", {}),
    "never given back, and nothing struck him": (f"0-1 a lock 1 value=1\n{99 * S}-{99 * S + 1}x b lock 2 value=1", {}),
    "his giving back failed, a while ago": (
        f"0-1 a lock 1 value=1\n2-3? a unlock 1 value=1\n{6 * S}-{6 * S + 1}x b lock 2 value=1",
        {"lock_not_freed": 1},
    ),
    "his giving back failed just now": (
        f"0-1 a lock 1 value=1\n2-3? a unlock 1 value=1\n{4 * S}-{5 * S}x b lock 2 value=1",
        {},
    ),
    "killed, and within the bound": (
        f"{9 * S}-{9 * S + 1} consumer-0/w1 lock 1 value=1\n{16 * S}-{17 * S}x b lock 2 value=1",
        {},
    ),
    "killed, and after the bound": (
        f"{9 * S}-{9 * S + 1} consumer-0/w1 lock 1 value=1\n{17 * S}-{18 * S}x b lock 2 value=1",
        {"lock_not_freed": 1},
    ),
    "killed, and somebody else has it since": (
        f"{9 * S}-{9 * S + 1} consumer-0/w1 lock 1 value=1\n{15 * S}-{15 * S + 1} c lock 3 value=1\n"
        f"{17 * S}-{18 * S}x b lock 2 value=1",
        {},
    ),
    "no locks": ("0-1 p enqueue 1", {}),
}


def judged(seen: History) -> dict[str, int]:
    counts = check(seen, Context(recovery_s=5, faults=(KILL,))).counts
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize(("script", "expected"), CASES.values(), ids=CASES)
def test_case(script: str, expected: dict[str, int]) -> None:
    assert judged(history(script)) == expected


def test_an_error_that_is_no_answer_refuses_nothing() -> None:
    seen = history(ONE + "7-8x b lock 2 value=1")
    error = seen.error.copy()
    error[-1] = log.E_REFUSED
    assert judged(dataclasses.replace(seen, error=error)) == {}


def test_finding_names_both_and_what_struck_the_holder() -> None:
    (finding,) = check(history(CASES["both"][0]), Context()).findings
    assert (finding.tasks, finding.evidence) == ((1, 2), (0, 1, 2, 3, 4, 5, 6, 7))
    script = CASES["killed, and after the bound"][0]
    (finding,) = check(history(script), Context(recovery_s=5, faults=(KILL,))).findings
    assert (finding.tasks, finding.faults) == ((1, 2), (0,))


holds = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(0, 3), st.integers(0, 5), st.integers(0, 3)),
    max_size=8,
)


@settings(deadline=None)
@given(holds, st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 3)), max_size=5))
def test_as_a_slow_twin_has_it(held: list[tuple[int, int, int, int, int]], refused: list[tuple[int, int, int]]) -> None:
    ops, certain, possible = [], [], []
    for at, (number, begin, takes, holding, leaving) in enumerate(held):
        got, left = begin + takes, begin + takes + holding
        ops.append(Op(begin, got, f"h{at}", "lock", at, value=number))
        ops.append(Op(left, left + leaving, f"h{at}", "unlock", at, value=number))
        certain.append((number, got, left))
        possible.append((number, begin, left + leaving))
    for at, (number, begin, takes) in enumerate(refused):
        ops.append(Op(begin, begin + takes, f"r{at}", "lock", 100 + at, how=log.FAIL, value=number))
    late = sum(
        not any(n == number and b <= begin + takes and e >= begin for n, b, e in possible)
        for number, begin, takes in refused
    )
    shared = any(
        one[0] == two[0] and max(one[1], two[1]) < min(one[2], two[2]) and one[1] < one[2] and two[1] < two[2]
        for at, one in enumerate(certain)
        for two in certain[:at]
    )
    counts = check(build(valued(ops)), Context()).counts
    assert counts["lock_not_freed"] == late
    assert bool(counts["two_holders"]) == shared


def valued(ops: list[Op]) -> list[Op]:
    return sorted(ops, key=lambda op: op.start)


@pytest.mark.parametrize("seed", range(20))
def test_mutations_of_a_valid_history_are_noticed(seed: int) -> None:
    draw = random.Random(seed)
    lines = []
    for at in range(30):
        start = at * 10
        lines.append(f"{start}-{start + 1} w{at % 3} lock {at} value=7")
        lines.append(f"{start + 6}-{start + 7} w{at % 3} unlock {at} value=7")
        lines.append(f"{start + 2}-{start + 3}x v lock {at + 100} value=7")
    valid = parse("\n".join(lines))
    assert judged(build(valued(valid))) == {}
    holder = 3 * draw.randrange(1, 29)
    lock, unlock = valid[holder], valid[holder + 1]
    mutations = {
        "a lock shifted into the one before": [
            dataclasses.replace(lock, start=lock.start - 8, end=lock.start - 7),
            unlock,
        ],
        "an unlock shifted into the next one": [
            lock,
            dataclasses.replace(unlock, start=unlock.start + 8, end=unlock.start + 9),
        ],
        "a lock and its unlock dropped": [],
        "somebody else has it, too": [
            lock,
            unlock,
            dataclasses.replace(lock, process="x"),
            dataclasses.replace(unlock, process="x"),
        ],
    }
    for name, mutated in mutations.items():
        ops = valid[:holder] + mutated + valid[holder + 2 :]
        assert judged(build(valued(ops))), name
