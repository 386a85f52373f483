from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from harness.checkers import Context
from harness.checkers.liveness import check
from harness.history import log
from harness.protocols import FaultRecord
from harness.verdict import Validity
from tests.checkers.scripts import Op, build, history, parse

S = 1_000_000_000


def fault(begin: int, end: int | None, index: int = 0, *, landed: bool = True) -> FaultRecord:
    return FaultRecord(
        index=index, kind="kill", target="any", struck=("node-1",), classes=(), injected_ns=begin * S, landed=landed,
        proof="", healed_ns=None if end is None else end * S, healed=end is not None, heal_proof="",
    )  # fmt: skip


def seconds(script: str) -> str:
    """The script with its times in seconds."""
    lines = []
    for line in script.strip().splitlines():
        when, rest = line.split(None, 1)
        begin, _, end = when.partition("-")
        tail = end.lstrip("0123456789")
        end = end.removesuffix(tail) if tail else end
        lines.append(f"{int(begin) * S}-{int(end) * S if end else ''}{tail} {rest}")
    return "\n".join(lines)


WORK = """
    1-2 p enqueue 1
    1-2 q enqueue 2
    {0}-{0} c/w1 dequeue 1
    {0}-{0} c/w1 complete 1
    {1}-{1} c/w1 dequeue 2
    {1}-{1} c/w1 complete 2
    99-99 d drain
"""


def judge(script: str, *faults: FaultRecord, recovery_s: float | None = 5, drain_s: float | None = None):  # type: ignore[no-untyped-def]
    return check(history(seconds(script)), Context(faults=faults, recovery_s=recovery_s, drain_s=drain_s))


@pytest.mark.parametrize(
    ("first", "second", "faults", "stalled"),
    [
        (22, 30, (fault(10, 20),), 0),
        (25, 30, (fault(10, 20),), 0),
        (26, 30, (fault(10, 20),), 1),
        (15, 24, (fault(10, 20),), 0),
        (15, 26, (fault(10, 20),), 1),
        (15, 16, (fault(10, 20),), 0),
        # Completed at the very moment of the healing: that is not after it.
        (20, 26, (fault(10, 20),), 1),
        (26, 30, (fault(10, 20, landed=False),), 0),
        (26, 30, (fault(10, None),), 0),
        (26, 30, (fault(10, 20), fault(22, 24, 1)), 0),
        (30, 31, (fault(10, 20), fault(22, 24, 1)), 1),
        (30, 31, (fault(10, 20), fault(26, 28, 1)), 1),
        (30, 31, (fault(10, 20), fault(10, 20, 1)), 2),
    ],
)
def test_after_a_fault(first: int, second: int, faults: tuple[FaultRecord, ...], stalled: int) -> None:
    result = judge(WORK.format(first, second), *faults)
    assert result.counts == {"stalled": stalled}
    assert result.validity is (Validity.INVALID if stalled else Validity.VALID)


def test_finding_after_a_fault() -> None:
    (finding,) = judge(WORK.format(27, 30), fault(10, 20, 3)).findings
    assert (finding.anomaly, finding.tasks, finding.faults) == ("stalled", (1,), (3,))
    assert finding.summary == (
        "2 tasks waited when fault 3 (kill any) was seen healed, and none was completed within 5 s, "
        "the first after 7.000 s"
    )


def test_without_a_bound_nothing_is_asked() -> None:
    assert judge(WORK.format(80, 90), fault(10, 20), recovery_s=None).validity is Validity.VALID


def test_what_is_lost_keeps_nobody_waiting() -> None:
    script = "1-2 p enqueue 1\n3-4 c/w1 dequeue 1\n3-4 q enqueue 2\n5-6 c/w2 complete 2\n99-99 d drain"
    assert judge(script, fault(10, 20)).counts == {"stalled": 0}


def test_what_is_stuck_does() -> None:
    script = "1-2 p enqueue 1\n3-4 q enqueue 2\n5-6 c/w2 complete 2\n99-99x d drain tasks=1"
    (finding,) = judge(script, fault(10, 20)).findings
    assert finding.summary.endswith("and nobody did any more")
    # … unless the history ends before the bound.
    assert judge(script.replace("99-99x", "22-22x"), fault(10, 20)).counts == {"stalled": 0}


@pytest.mark.parametrize(
    ("script", "faults", "stalled"),
    [
        (WORK.format(3, 12), (), 0),
        (WORK.format(3, 13), (), 1),
        (WORK.format(3, 13), (fault(2, 5),), 0),
        (WORK.format(3, 16), (fault(2, 5),), 1),
        (WORK.format(3, 16), (fault(2, None),), 0),
        (WORK.format(3, 13) + "4-5 p enqueue 3\n14-15 c/w2 complete 3", (), 0),
        (WORK.format(3, 4) + "4-5 p schedule 3 eta=20000000000\n29-30 c/w2 complete 3", (), 0),
        (WORK.format(3, 4) + "4-5 p schedule 3 eta=20000000000\n29-31 c/w2 complete 3", (), 1),
    ],
)
def test_at_the_end(script: str, faults: tuple[FaultRecord, ...], stalled: int) -> None:
    result = judge(script, *faults, recovery_s=None, drain_s=10)
    assert result.counts == {"stalled": stalled}
    assert all("after all was submitted and healed" in finding.summary for finding in result.findings)


@pytest.mark.parametrize(
    ("script", "faults", "slowest"),
    [
        (WORK.format(5, 14), (fault(10, 20),), 4000.0),
        (WORK.format(12, 14), (fault(10, 20), fault(11, 20, 1)), 2000.0),
        (WORK.format(5, 6), (fault(10, 20),), None),
        (WORK.format(5, 14), (fault(10, 20, landed=False),), None),
        (WORK.format(5, 14), (), None),
        # Held since before the fault: that proves nothing of what came after it.
        ("1-2 p enqueue 1\n8-9 c/w1 dequeue 1\n12-13 c/w1 complete 1\n99-99 d drain", (fault(10, 20),), None),
        ("1-2 p enqueue 1\n11-12 c/w1 dequeue 1\n99-99 d drain", (fault(10, 20),), 2000.0),
    ],
    ids=["after", "slowest of two", "nothing after", "not landed", "none", "held before", "judged by dequeues"],
)
def test_recovery(script: str, faults: tuple[FaultRecord, ...], slowest: float | None) -> None:
    assert judge(script, *faults).recovery_ms_max == slowest


def test_recovery_counts_from_when_the_fault_was_seen_to_land() -> None:
    slow = dataclasses.replace(fault(10, 20), landed_ns=13 * S)
    # Dequeued while it was being injected: that proves nothing of what came after it.
    assert judge(WORK.format(12, 15), slow).recovery_ms_max == 2000.0


# ---------------------------------------------------------------- mutations of a valid history

FAULT = fault(10, 20)


def valid() -> list[Op]:
    """A task a second; from 10 s to 20 s a fault, while which tasks are put and nobody does any; then all goes on."""
    lines = []
    for task in range(1, 21):
        put = task if task < 15 else task + 13
        done = put + 1 if put < 9 else 13 + task if put < 20 else put + 1
        lines.append(
            f"{put}-{put} p enqueue {task}\n{done}-{done} c/w1 dequeue {task}\n{done}-{done} c/w1 complete {task}"
        )
    return parse(seconds("\n".join([*lines, "99-99 d drain"])))


def mutated(change: Callable[[Op], Op | None]) -> list[Op]:
    return sorted(filter(None, map(change, valid())), key=lambda op: op.start)


def stalls(ops: list[Op], *faults: FaultRecord) -> int:
    count = check(build(ops), Context(faults=faults or (FAULT,), recovery_s=5, drain_s=10)).counts["stalled"]
    assert count is not None
    return count


def after(op: Op, second: int) -> bool:
    return op.f in ("dequeue", "complete") and op.start > second * S


def by(op: Op, by_s: int) -> Op:
    return dataclasses.replace(op, start=op.start + by_s * S, end=(op.end or 0) + by_s * S)


def test_nothing_stalls() -> None:
    assert stalls(valid()) == 0


def test_work_shifted_behind_the_bound_is_missed() -> None:
    for by_s, found in ((3, 0), (4, 1)):
        assert stalls(mutated(lambda op, by_s=by_s: by(op, by_s) if after(op, 20) else op)) == found  # type: ignore[misc]


def test_work_shifted_into_the_time_before_the_healing_proves_nothing() -> None:
    """Who did what was due in the first seconds did it before, and then nobody did anything."""
    shifted = mutated(lambda op: by(op, -6) if after(op, 20) and op.start < 26 * S else op)
    assert stalls(shifted) == 1


def test_a_fault_shifted_to_have_healed_sooner_asks_sooner() -> None:
    assert [stalls(valid(), fault(10, healed)) for healed in (20, 17, 16, 12)] == [0, 0, 1, 1]


def test_a_doubled_fault_is_asked_for_twice() -> None:
    late = mutated(lambda op: by(op, 5) if after(op, 20) else op)
    assert stalls(late, FAULT, fault(10, 20, 1)) == 2


def test_a_completion_doubled_into_the_gap_is_progress() -> None:
    late = mutated(lambda op: by(op, 5) if after(op, 20) else op)
    assert stalls(late) == 1
    one = next(op for op in late if op.f == "complete")
    assert stalls([*late, dataclasses.replace(one, process="c/w2", start=24 * S, end=24 * S)]) == 0


def test_dropped_completions_stall_what_is_still_held_and_nothing_else() -> None:
    gone = mutated(lambda op: None if after(op, 20) and op.start < 28 * S else op)
    assert stalls(gone) == 0  # lost: that keeps nobody waiting
    held = dataclasses.replace(gone[-1], how=log.FAIL, tasks=tuple(range(9, 15)))
    assert (gone[-1].f, stalls([*gone[:-1], held])) == ("drain", 1)


def test_dropped_enqueues_leave_nobody_waiting() -> None:
    late = mutated(lambda op: by(op, 5) if after(op, 20) else op)
    unasked = [op for op in late if op.f != "enqueue" or not 8 * S < op.start <= 20 * S]
    assert (stalls(late), stalls(unasked)) == (1, 0)


def test_the_last_completions_swapped_for_late_ones_are_noticed() -> None:
    for late_s, found in ((43, 0), (44, 1)):
        last = mutated(lambda op, to=late_s: by(op, to - 34) if after(op, 33) else op)  # type: ignore[misc]
        assert stalls(last) == found
