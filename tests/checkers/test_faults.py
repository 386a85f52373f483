from __future__ import annotations

import dataclasses

import pytest

from harness.checkers import Context
from harness.checkers.faults import check, in_flight
from harness.checkers.nemesis import faults_of
from harness.protocols import FaultRecord
from harness.verdict import Validity
from tests.checkers.scripts import history

FAULT = FaultRecord(
    index=2, kind="kill", target="consumer", struck=("consumer-1",), classes=(), injected_ns=100, landed=True,
    proof="seen", healed_ns=200, healed=True, heal_proof="seen",
)  # fmt: skip

BUSY = """
    0-1     producer-0 enqueue 1
    2-3     producer-0 enqueue 2
    4-5     producer-0 enqueue 3
    6-7     producer-0 enqueue 4
    8-9     producer-0 schedule 5 eta=1
    95-105  producer-0 enqueue 6
    96-     producer-1 enqueue 7
    90-91   consumer-1/w1 dequeue 1
    92-93   consumer-1/w1 execute 1
    50-51   consumer-1/w2 dequeue 2
    51-52   consumer-1/w2 complete 2
    53-110x consumer-1/w2 dequeue
    60-61   consumer-0/w1 dequeue 3
    61-120? consumer-0/w2 dequeue
    62-130x consumer-0/w3 dequeue
    70-71   consumer-1/scheduler read_schedule tasks=5
"""


@pytest.mark.parametrize(
    ("struck", "expected"),
    [
        # 1 is held by w1, 5 by the scheduler; 2 was done.
        (("consumer-1",), 2),
        (("consumer-0",), 1),
        (("producer-0",), 1),
        (("producer-0", "producer-1"), 2),
        (("consumer-7",), 0),
        # Open: 6, 7 and a dequeue (another one came back empty); in the queue: 4, 5 and 6 not yet.
        (("node-1",), 3 + 2),
        (("consumer-1", "node-1"), 2 + 3 + 2),
        # The same enqueue is not counted twice.
        (("producer-0", "node-1"), 3 + 2),
    ],
)
def test_in_flight(struck: tuple[str, ...], expected: int) -> None:
    assert in_flight(history(BUSY), dataclasses.replace(FAULT, struck=struck)) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        # It is being completed, in one step with asking for the next.
        ("90-91 consumer-1/w1/next dequeue 1\n99-120 consumer-1/w1 complete 1\n99-120 consumer-1/w1/next dequeue 2", 1),
        ("90-91 consumer-1/w1/next dequeue 1\n92-98 consumer-1/w1 complete 1\n92-98 consumer-1/w1/next dequeue 2", 1),
        ("90-91 consumer-1/w1/next dequeue 1\n92-98 consumer-1/w1 complete 1\n92-98x consumer-1/w1/next dequeue", 0),
        # What the server moves in somebody's step is in nobody's hands.
        (
            "90-98 consumer-1/scheduler/server read_schedule tasks=1\n90-98 consumer-1/scheduler/server/1 enqueue 1",
            0,
        ),
    ],
)
def test_in_flight_in_steps_of_several_things(script: str, expected: int) -> None:
    assert in_flight(history(script), FAULT) == expected


def test_nothing_was_in_flight_for_what_did_not_land() -> None:
    assert in_flight(history(BUSY), dataclasses.replace(FAULT, landed=False)) == 0


def test_handed_on_by_the_scheduler() -> None:
    record = history(BUSY + "72-73 consumer-1/scheduler enqueue 5")
    assert in_flight(record, FAULT) == 1


def test_an_empty_history() -> None:
    assert in_flight(history(""), dataclasses.replace(FAULT, struck=("node-1", "consumer-0"))) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"in_flight_min": 2}, None),
        ({"in_flight_min": 3}, "fault 2 (kill consumer) found 2 in flight, 3 are asked for"),
        ({"landed": False, "proof": "still runs"}, "fault 2 (kill consumer) was not seen to land: still runs"),
        ({"healed": False, "heal_proof": ""}, "fault 2 (kill consumer) was not seen to heal: no proof"),
    ],
)
def test_check(change: dict[str, object], reason: str | None) -> None:
    fault = dataclasses.replace(FAULT, **change)  # type: ignore[arg-type]
    result = check(history(BUSY), Context(faults=(fault,)))
    assert result.validity is (Validity.UNKNOWN if reason else Validity.VALID)
    assert result.reasons == ((reason,) if reason else ())


def test_faults_that_a_history_tells_of() -> None:
    record = history(
        BUSY
        + """
        200 nemesis kill fault=0 phase=inject
        210 nemesis kill fault=0 phase=landed
        215 nemesis pause fault=1 phase=inject
        216 nemesis pause fault=1 phase=not-landed
        220 nemesis kill fault=0 phase=healed
        230 nemesis storm
        240 nemesis storm
        """
    )
    told = [(f.index, f.kind, f.injected_ns, f.landed, f.healed_ns, f.healed) for f in faults_of(record)]
    assert told == [
        (0, "kill", 200, True, 220, True),
        (1, "pause", 215, False, None, False),
        (2, "storm", 230, True, 230, True),
        (3, "storm", 240, True, 240, True),
    ]
    assert faults_of(record)[0].struck == ("consumer-0", "consumer-1", "producer-0", "producer-1")
    assert faults_of(history(BUSY)) == ()
    assert faults_of(history("")) == ()
