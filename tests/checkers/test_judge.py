from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checkers import CHECKERS, ORDERS, Context, Order
from harness.checkers.judge import judge
from harness.checkers.limits import cover
from harness.checkers.nemesis import faults_of
from harness.history.columns import History
from harness.protocols import FaultRecord, KnownLimit
from harness.registry import UnknownName
from harness.verdict import COUNT_NAMES, CheckResult, Finding, Validity
from tests.checkers.scripts import history
from tests.history.test_jsonl import histories

KILL = FaultRecord(
    index=4, kind="kill", target="consumer", struck=("consumer-1",), classes=("worker-crash",), injected_ns=100,
    landed=True, proof="seen", healed_ns=200, healed=True, heal_proof="seen",
)  # fmt: skip
LIMIT = KnownLimit("popped-before-run", "lost_in_flight", "worker-crash", "why", "worker-crash")

WORK = """
    0-1 p enqueue 1
    2-3 p enqueue 2
    4-5 consumer-0/w1 dequeue 1
    5-6 consumer-0/w1 execute 1
    6-7 consumer-0/w1 complete 1
    90-95 consumer-1/w1 dequeue 2
    95-{} consumer-1/w1 execute 2
    {}
    999-999 d drain
"""
FINE = WORK.format("96", "96-97 consumer-1/w1 complete 2")
TORN = WORK.format("", "")


def test_every_checker_is_there_and_says_what_it_judges() -> None:
    assert CHECKERS.names() == [
        *("assumptions", "chords", "delivery", "expiry", "faults", "forgotten", "groups", "liveness", "locks"),
        *("order", "periodic", "pipelines", "rates", "results", "retries", "revocation", "schedule", "semaphores"),
        *("timeouts", "unread"),
    ]
    assert all((checker.__doc__ or "").split("\n")[0].endswith(".") for checker in CHECKERS)


def test_valid() -> None:
    verdict = judge(history(FINE), Context(faults=(KILL,), recovery_s=1, drain_s=1))
    assert (verdict.validity, verdict.reasons, verdict.findings) == (Validity.VALID, (), ())
    assert tuple(verdict.counts) == COUNT_NAMES
    assert verdict.counts["completed"] == 2


def test_excused() -> None:
    verdict = judge(history(TORN), Context(faults=(KILL,), limits=(LIMIT,)))
    assert (verdict.validity, verdict.excused, verdict.known_limits) == (
        Validity.INVALID,
        True,
        ("popped-before-run",),
    )


def test_a_limit_of_class_none_needs_no_fault() -> None:
    limit = KnownLimit("by-itself", "lost_in_flight", "none", "why", "steady")
    found = Finding("lost_in_flight", (1,), (2,), "")
    assert [one.limit for one in cover([found], Context(limits=(limit,)))] == ["by-itself"]
    assert [one.limit for one in cover([found], Context(limits=(LIMIT,)))] == [None]


def test_not_excused_without_the_limit_nor_by_a_fault_elsewhere() -> None:
    assert not judge(history(TORN), Context(faults=(KILL,))).excused
    elsewhere = FaultRecord(**{**vars(KILL), "struck": ("consumer-0",)})
    verdict = judge(history(TORN), Context(faults=(elsewhere,), limits=(LIMIT,)))
    assert (verdict.validity, verdict.excused) == (Validity.INVALID, False)
    assert [finding.anomaly for finding in verdict.findings] == ["lost"]


def test_invalid_outranks_unknown() -> None:
    unhealed = FaultRecord(**{**vars(KILL), "healed": False})
    assert judge(history(FINE), Context(faults=(unhealed,))).validity is Validity.UNKNOWN
    assert judge(history(TORN), Context(faults=(unhealed,))).validity is Validity.INVALID


def test_a_checker_that_crashes_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: History, __: Context) -> CheckResult:
        raise ZeroDivisionError("a defect")

    CHECKERS.load()
    monkeypatch.setitem(CHECKERS._members, "order", crash)
    verdict = judge(history(FINE), Context())
    assert verdict.validity is Validity.UNKNOWN
    assert verdict.reasons == ("the checker order crashed: ZeroDivisionError: a defect",)
    assert verdict.counts["completed"] == 2


def test_only() -> None:
    verdict = judge(history(TORN), Context(), only=["order", "schedule"])
    assert [check.checker for check in verdict.checks] == ["order", "schedule"]
    with pytest.raises(UnknownName, match="Did you mean 'order'"):
        judge(history(TORN), Context(), only=["ordr"])


@pytest.mark.parametrize(
    ("anomaly", "faults", "limit"),
    [
        ("lost_in_flight", (4,), "popped-before-run"),
        ("lost_in_flight", (3, 4), "popped-before-run"),
        ("lost_in_flight", (), None),
        ("lost_in_flight", (3,), None),
        ("lost_in_flight", (7,), None),
        ("lost", (4,), None),
    ],
)
def test_cover(anomaly: str, faults: tuple[int, ...], limit: str | None) -> None:
    other = FaultRecord(**{**vars(KILL), "index": 3, "classes": ("node-crash",)})
    absent = FaultRecord(**{**vars(KILL), "index": 7, "landed": False})
    context = Context(faults=(other, KILL, absent), limits=(LIMIT,))
    (finding,) = cover([Finding(anomaly, (1,), (), "", faults=faults)], context)
    assert finding.limit == limit


@settings(max_examples=150, deadline=None)
@given(record=histories(), order=st.sampled_from(ORDERS), struck=st.booleans())
def test_no_history_crashes_a_checker(record: History, order: Order, struck: bool) -> None:
    nodes = (FaultRecord(**{**vars(KILL), "struck": ("node-1", *record.processes)}),)
    context = Context(
        order=order, faults=nodes if struck else faults_of(record), limits=(LIMIT,), recovery_s=1, drain_s=1
    )
    verdict = judge(record, context)
    assert not any("crashed" in reason for reason in verdict.reasons), verdict.reasons
    assert all(0 <= index < len(record) for finding in verdict.findings for index in finding.evidence)
