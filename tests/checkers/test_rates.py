from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checkers import Context
from harness.checkers.rates import ANOMALIES, TOLERANCE_NS, check
from harness.history import log
from harness.protocols import FaultRecord
from harness.verdict import Validity
from tests.checkers.scripts import Op, build, parse

#: A window, in units of ten times the tolerance; scripts are written in these.
UNIT = 10 * TOLERANCE_NS
LENGTH = 100


def scaled(ops: list[Op]) -> list[Op]:
    """With times in nanoseconds; windows that are not told begin at multiples of LENGTH."""
    found = []
    for op in ops:
        eta = op.eta or ((op.start // LENGTH + 1) * LENGTH if op.f == "admit" else 0)
        end = None if op.end is None else op.end * UNIT
        found.append(dataclasses.replace(op, start=op.start * UNIT, end=end, eta=eta * UNIT))
    return found


def asks(*tasks: int, limit: int = 2) -> str:
    return "".join(f"0-0 p/notes ask_rate {task} value={limit} eta={LENGTH}\n" for task in tasks)


#: Two may pass in a window, and the third is tried again in the next.
TWO = asks(1, 2, 3) + "10-11 a admit 1 value=7\n12-13 b admit 2 value=7\n"
OVER = TWO + "14-15x c admit 3 value=7\n"
AGAIN = OVER + "14-15 c execute 3 error=9\n"
#: The same in the window after one in which somebody has asked who is still at it, or was never heard of again.
STILL = asks(1, 2, 3, 4) + "110-111 a admit 1 value=7\n112-113 b admit 2 value=7\n114-115 c admit 3 value=7\n"
ONE = asks(1, 3) + "10-11 a admit 1 value=7\n"
ONCE = "0-0 p/notes ask_retries 3\n"

CASES: dict[str, tuple[str, str | None]] = {
    "two pass": (TWO, None),
    "two pass, and a third does not": (OVER, None),
    "two in each window": (TWO + "110-111 a admit 3 value=7\n", None),
    "a third by another limiter": (TWO + "14-15 c admit 3 value=8\n", None),
    "a third of another limit": (
        ONE.replace(asks(1, 3), asks(1) + asks(3, limit=9)) + "14-15 c admit 3 value=7\n",
        None,
    ),
    "a third, perhaps in the next window": (TWO + "99-101 c admit 3 value=7\n", None),
    "a third that ends in error": (TWO + "14-15? c admit 3 value=7\n", None),
    "a third passes": (TWO + "14-15 c admit 3 value=7\n", "over_limit"),
    "a third passes, the window being opened by two": (
        asks(1, 2, 3) + "10-13 a admit 1 value=7\n12-14 b admit 2 value=7\n14-15 c admit 3 value=7\n",
        "over_limit_at_opening",
    ),
    "a third passes while one from before is still asking": (
        STILL + "99-120 d admit 4 value=7\n",
        "over_limit_at_opening",
    ),
    "a third passes, and one from before was never heard of again": (
        STILL + "99- d admit 4 value=7\n",
        "over_limit_at_opening",
    ),
    "refused too soon": (ONE + "14-15x c admit 3 value=7\n", "early_refusal"),
    "refused, and one may have passed meanwhile": (OVER.replace("12-13 b", "12-20 b"), None),
    "refused, and one that died may have passed": (OVER.replace("12-13 b", "12- b"), None),
    "refused, and one was refused before": (OVER.replace("12-13 b", "12-13x b"), "early_refusal"),
    "the next window's first refused": (TWO + "110-111x c admit 3 value=7\n", "early_refusal"),
    "refused, and one of before has asked until now": (
        TWO.replace("12-13", "99-102") + "101-103x c admit 3 value=7\n",
        "early_refusal",
    ),
    "asked too late is no refusal": (TWO + "14-15x c admit 3 value=7 error=3\n", None),
    "tried again after the window": (
        AGAIN + "100-101 c execute 3\n100-101 c/n admit 3 value=7\n101-101 c complete 3\n",
        None,
    ),
    "tried again within it": (AGAIN + "98-99 c execute 3\n", "retried_in_window"),
    "tried again by another worker, too, who had it back": (AGAIN + "50-51 s requeue 3\n60-61 d execute 3\n", None),
    "failed for good": (AGAIN + "16-16 c complete 3 outcome=failed\n", "wrong_outcome"),
    "failed for good, as it was to": (ONCE + AGAIN + "16-16 c complete 3 outcome=failed\n", None),
    "failed of something else": (AGAIN + "110-110 c admit 3 value=7\n111-111 c complete 3 outcome=failed\n", None),
    "done though it was refused": (AGAIN + "16-16 c complete 3\n", "wrong_outcome"),
    "nobody asked for a limit": ("10-11 a admit 1 value=7\n", None),
    "no limits": ("1-2 p ask_rate value=3 eta=7\n", None),
}  # fmt: skip


@pytest.mark.parametrize(("script", "anomaly"), CASES.values(), ids=CASES)
def test_case(script: str, anomaly: str | None) -> None:
    result = check(build(scaled(parse(script))), Context())
    assert {one.anomaly for one in result.findings} == ({anomaly} if anomaly else set())
    assert result.validity is (Validity.INVALID if anomaly else Validity.VALID)
    assert {name for name in ANOMALIES if result.counts[name]} == ({anomaly} if anomaly else set())


def test_finding() -> None:
    (finding,) = check(build(scaled(parse(CASES["a third passes"][0]))), Context()).findings
    assert finding.tasks == (1, 2, 3)
    assert finding.summary == (
        "limiter 7: 3 passed in one window, of which 2 were to, and 3 of them were certainly counted"
    )


def test_a_fault_explains_another_try() -> None:
    ops = scaled(parse(CASES["tried again within it"][0]))
    fault = FaultRecord(0, "kill", "consumer", ("c",), ("worker-crash",), 14 * UNIT, True, "", 15 * UNIT, True, "")
    assert check(build(ops), Context(faults=(fault,))).validity is Validity.VALID


def test_within_the_tolerance() -> None:
    ops = parse(OVER.replace(f"eta={LENGTH}", f"eta={LENGTH * UNIT}") + "14-15 c execute 3 error=9\n")
    late = LENGTH * UNIT
    ops = [dataclasses.replace(op, eta=late) if op.f == "admit" else op for op in ops]
    for early_ns, found in ((TOLERANCE_NS, 0), (TOLERANCE_NS + 1, 1)):
        again = Op(late - early_ns, late, "c", "execute", 3)
        assert check(build([*ops, again]), Context()).counts["retried_in_window"] == found


# ---------------------------------------------------------------- by an obvious twin


def slow(ops: list[Op], limit: int) -> set[tuple[str, int]]:
    """The definitions of one limiter, word by word: (anomaly, end of the window)."""
    found = set()
    admits = [op for op in ops if op.f == "admit"]

    def end(op: Op) -> int:
        return 1 << 60 if op.end is None else op.end

    for late in {op.eta for op in admits}:
        begin, mine = late - LENGTH * UNIT, [op for op in admits if op.eta == late]
        before = [op for op in admits if op.eta < late and end(op) > begin - TOLERANCE_NS]
        anew = [
            op
            for op in mine
            if not any(
                end(other) <= op.start
                and other.how in (log.OK, log.FAIL)
                and all(other.start >= end(b) for b in before)
                for other in mine
            )
        ]
        passed = [op for op in mine if op.how == log.OK and end(op) <= late - TOLERANCE_NS]
        sure = [op for op in passed if all(other is op or end(other) <= op.start for other in [*before, *anew])]
        if len(passed) > limit:
            found.add(("over_limit" if len(sure) > limit else "over_limit_at_opening", late))
        for op in mine:
            others = [
                one for one in admits if one is not op and one.start <= end(op) and end(one) >= begin - TOLERANCE_NS
            ]
            if op.how == log.FAIL and len(others) < limit:
                found.add(("early_refusal", late))
    return found


@st.composite
def scenes(draw: st.DrawFn) -> list[Op]:
    """Who asked one limiter in three windows, and what it said."""
    ops = []
    for task in range(draw(st.integers(0, 9))):
        start = draw(st.integers(0, 30)) * 10
        how = draw(st.sampled_from((log.OK, log.OK, log.OK, log.FAIL, log.INFO)))
        end = None if how == log.INFO and draw(st.booleans()) else start + draw(st.sampled_from((0, 1, 5, 15, 120)))
        ops.append(Op(start, end, f"w{task}", "admit", task, how=how, value=7, eta=(start // 100 + 1) * 100))
    return scaled([*parse(asks(*range(9))), *sorted(ops, key=lambda op: op.start)])


@given(scenes())
def test_like_the_twin(ops: list[Op]) -> None:
    late = {op.task: op.eta for op in ops if op.f == "admit"}
    found = {(one.anomaly, late[one.tasks[0]]) for one in check(build(ops), Context()).findings}
    assert found == slow(ops, 2)


# ---------------------------------------------------------------- by Huey's own way of counting


def ask(store: dict[str, int], limit: int, clock: list[int]) -> Iterator[bool | None]:
    """RateLimit.acquire (huey/api.py), one step of its storage's at a time; at last whether it lets one pass."""
    window = clock[0] // LENGTH
    yield None
    known = store.get("window")
    yield None
    if known != window:
        store["count"] = 0
        yield None
        store["window"] = window
        yield None
    store["count"] = store.get("count", 0) + 1
    yield store["count"] <= limit


@given(st.lists(st.integers(0, 3), max_size=120), st.lists(st.sampled_from((1, 1, 1, 1, 9, 45)), min_size=120))
def test_how_huey_counts_is_never_taken_for_more_than_it_is(turns: list[int], pauses: list[int]) -> None:
    """Four workers ask by turns, however they overlap: some may be forgotten when a window opens, and nothing else."""
    clock, store, ops = [0], dict[str, int](), parse(asks(*range(200)))
    asking: dict[int, tuple[int, Iterator[bool | None]]] = {}
    for turn, pause in zip(turns, pauses, strict=False):
        clock[0] += pause
        begun, steps = asking.pop(turn, (clock[0], ask(store, 2, clock)))
        passes = next(steps)
        if passes is None:
            asking[turn] = (begun, steps)
        else:
            how = log.OK if passes else log.FAIL
            ops.append(Op(begun, clock[0], f"w{turn}", "admit", len(ops) - 200, how=how, value=7))
    ops += [Op(begun, None, f"w{turn}", "admit", 199 - turn, value=7) for turn, (begun, _) in asking.items()]
    told = check(build(scaled(ops)), Context())
    assert {one.anomaly for one in told.findings} <= {"over_limit_at_opening"}


# ---------------------------------------------------------------- mutations of a valid history


def valid() -> list[Op]:
    """Three windows, in each of which two pass, and one is refused who is tried again in the next."""
    script = asks(*range(10))
    for window in range(3):
        at, first = window * LENGTH + 5, 2 * window
        for after, who, task, how, error in (
            (0, "a", first, "", 0),
            (10, "b", first + 1, "", 0),
            (20, "c", first + 2, "x", 9),
        ):
            span = f"{at + after}-{at + after + 1}"
            script += f"{span} {who} execute {task} error={error}\n{span}{how} {who}/notes admit {task} value=7\n"
        script += f"{at + 2}-{at + 2} a complete {first}\n{at + 12}-{at + 12} b complete {first + 1}\n"
    return scaled(parse(script))


@pytest.mark.parametrize("window", range(3))
@pytest.mark.parametrize(
    ("mutation", "anomaly"),
    [
        ("drop one that passed", "early_refusal"),
        ("double one that passed", "over_limit"),
        ("swap who passed with who was refused", "early_refusal"),
        ("shift the refusal into the next window's beginning", "early_refusal"),
        ("shift the next try into the window", "retried_in_window"),
        ("complete who was refused", "wrong_outcome"),
    ],
)
def test_a_mutation_is_noticed(mutation: str, anomaly: str, window: int) -> None:
    ops = valid()
    assert check(build(ops), Context()).validity is Validity.VALID
    passed, late, refused = [op for op in ops if op.f == "admit"][3 * window : 3 * window + 3]
    if mutation == "drop one that passed":
        ops.remove(late)
    elif mutation == "double one that passed":
        ops.append(dataclasses.replace(late, process="d", start=late.start + 2 * UNIT, end=late.start + 3 * UNIT))
    elif mutation == "swap who passed with who was refused":
        ops[ops.index(passed)] = dataclasses.replace(passed, how=log.FAIL)
        ops[ops.index(refused)] = dataclasses.replace(refused, how=log.OK)
    elif mutation == "shift the refusal into the next window's beginning":
        at = (window + 1) * LENGTH * UNIT
        shifted = dataclasses.replace(refused, start=at + UNIT, end=at + 2 * UNIT, eta=refused.eta + LENGTH * UNIT)
        ops[ops.index(refused)] = shifted
    elif mutation == "shift the next try into the window":
        ops.append(Op(refused.start + 3 * UNIT, refused.start + 4 * UNIT, "d", "execute", refused.task))
    else:
        at = refused.start + 2 * UNIT
        ops.append(Op(at, at, "c", "complete", refused.task, outcome=log.FAILED))
    assert anomaly in {one.anomaly for one in check(build(ops), Context()).findings}
