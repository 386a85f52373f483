from __future__ import annotations

import dataclasses
import random

import pytest

from harness.checkers import Context
from harness.checkers.pipelines import ANOMALIES, check
from harness.protocols import FaultRecord
from harness.verdict import Validity
from tests.checkers.scripts import Op, build, history, parse

#: A chain of two, of which the first returns 70.
ASKS = "0-0 p/notes ask_pipeline 2 value=1\n1-1 p/notes ask_result 1 value=70\n2-3 p enqueue 1\n"
FIRST = "4-5 c dequeue 1\n6-8 c execute 1\n"
HANDED = "9-10 c enqueue 2\n11-12 c complete 1\n"
SECOND = "13-14 d dequeue 2\n15-20 d execute 2\n16-17 d/notes receive 2 value=70\n21-22 d complete 2"

CASES = {
    "as it should be": (FIRST + HANDED + SECOND, None),
    "the first fails": ("4-5 c dequeue 1\n6-8 c execute 1 error\n9-10 c complete 1 outcome=failed", None),
    "the first is taken by one who dies": ("4-5 c dequeue 1\n6- c execute 1", None),
    "the second is taken by one who dies": (FIRST + HANDED + "13-14 d dequeue 2\n15- d execute 2", None),
    "the second was handed over, and is lost": (FIRST + HANDED, None),
    "handed over, perhaps": (FIRST + "9-10? c enqueue 2\n11-12? c complete 1", None),
    "the refused second try of a worker that lost its lease": (
        FIRST + HANDED + "9-10x e enqueue 2\n" + SECOND,
        None,
    ),
    "the second tries again, of its own": (
        FIRST + HANDED + SECOND.replace("21-22 d complete 2", "21-22 d enqueue 2 entry=1\n")
        + "23-24 e dequeue 2 entry=1\n25-30 e execute 2\n26-27 e/notes receive 2 value=70\n31-32 e complete 2",
        None,
    ),
    "it begins too soon": (FIRST + HANDED + SECOND.replace("13-14", "5-5").replace("15-20", "7-20"), "out_of_turn"),
    "it begins though the first one failed": (
        "4-5 c dequeue 1\n6-8 c execute 1 error\n9-10 c enqueue 2\n11-12 c complete 1 outcome=failed\n" + SECOND,
        "after_failure",
    ),
    "it begins though the first one was revoked": (
        "4-5 c dequeue 1\n9-10 c enqueue 2\n11-12 c complete 1 outcome=revoked\n" + SECOND,
        "after_failure",
    ),
    "another value": (FIRST + HANDED + SECOND.replace("value=70", "value=71"), "wrong_value"),
    "no value": (FIRST + HANDED + SECOND.replace("16-17 d/notes receive 2 value=70\n", ""), "wrong_value"),
    "the value twice": (FIRST + HANDED + SECOND + "\n18-19 d/notes receive 2 value=70", "wrong_value"),
    "handed over twice": (FIRST + "8-9 c enqueue 2 entry=1\n" + HANDED + SECOND, "handed_over_twice"),
    "not handed over": (FIRST + "11-12 c complete 1", "not_handed_over"),
    "not handed over, for certain": (FIRST + "9-10x c enqueue 2\n11-12 c complete 1", "not_handed_over"),
}  # fmt: skip


def script(text: str) -> list[Op]:
    """A script in which `error` behind an execute says that its body raised."""
    ops = []
    for line in text.splitlines():
        (op,) = parse(line.removesuffix(" error"))
        ops.append(dataclasses.replace(op, error=9) if line.endswith(" error") else op)
    return ops


@pytest.mark.parametrize(("text", "anomaly"), CASES.values(), ids=CASES)
def test_case(text: str, anomaly: str | None) -> None:
    result = check(build(script(ASKS + text)), Context())
    assert [one.anomaly for one in result.findings] == ([anomaly] if anomaly else [])
    assert result.counts == {name: int(name == anomaly) for name in ANOMALIES}
    assert result.validity is (Validity.INVALID if anomaly else Validity.VALID)


def test_a_finding_names_what_proves_it_and_the_faults_that_it_overlaps() -> None:
    fault = FaultRecord(0, "kill", "consumer", ("consumer-0",), ("worker-crash",), 12, True, "", 13, True, "")
    text = (ASKS + FIRST + "11-12 c complete 1").replace(" c ", " consumer-0/w1 ")
    (finding,) = check(build(script(text)), Context(faults=(fault,))).findings
    assert finding.tasks == (2,)
    assert finding.evidence == (8, 9, 10, 11)
    assert finding.faults == (0,)
    assert finding.summary == "task 2: nobody enqueued it, and task 1 is done"


def test_without_pipelines_nothing_is_asked() -> None:
    assert check(history("0-1 p enqueue 1"), Context()).validity is Validity.VALID


def chains(draw: random.Random, count: int) -> list[Op]:
    """A valid history of chains of three, of which some end by a failure."""
    ops: list[Op] = []
    for chain in range(count):
        at, first = chain * 1000, chain * 3
        for i in range(3):
            if i:
                ops.append(Op(at, at, "p/notes", "ask_pipeline", first + i, value=first + i - 1))
            ops.append(Op(at + 1, at + 1, "p/notes", "ask_result", first + i, value=first + i + 100))
        ops.append(Op(at + 2, at + 3, "p", "enqueue", first))
        failing = draw.choice([0, 1, 2, 3, 3])
        for i in range(3):
            who, begin = f"c{draw.randrange(3)}", at + 10 + 20 * i
            ops.append(Op(begin, begin + 1, who, "dequeue", first + i))
            ops.append(Op(begin + 2, begin + 6, who, "execute", first + i, error=9 * (failing == i)))
            if i:
                ops.append(Op(begin + 3, begin + 4, f"{who}/notes", "receive", first + i, value=first + i + 99))
            if i < min(failing, 2):
                ops.append(Op(begin + 7, begin + 8, who, "enqueue", first + i + 1))
            ops.append(Op(begin + 9, begin + 10, who, "complete", first + i, outcome=int(failing == i)))
            if failing == i:
                break
    return ops


#: What is found where something is done to one operation of that kind, about a task that is not a chain's first.
MUTATIONS = {
    ("receive", "drop"): "wrong_value",
    ("receive", "double"): "wrong_value",
    ("receive", "other value"): "wrong_value",
    ("execute", "earlier"): "out_of_turn",
    ("enqueue", "drop"): "not_handed_over",
    ("enqueue", "double"): "handed_over_twice",
}


@pytest.mark.parametrize(("f", "how"), MUTATIONS)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_done_to_one_operation_is_noticed(f: str, how: str, seed: int) -> None:
    draw = random.Random(seed)
    ops = chains(draw, 20)
    assert not check(build(ops), Context()).findings
    chosen = draw.choice([op for op in ops if op.f == f and op.task % 3])
    at = ops.index(chosen)
    others = [op for op in ops if op is not chosen]
    mutated = {
        "drop": others,
        "double": [*ops[: at + 1], dataclasses.replace(chosen, start=chosen.end or 0), *ops[at + 1 :]],
        "other value": [*others, dataclasses.replace(chosen, value=5)],
        "earlier": [dataclasses.replace(op, start=op.start - 18) if op is chosen else op for op in ops],
    }[how]
    found = check(build(mutated), Context()).findings
    assert {(one.anomaly, one.tasks) for one in found} == {(MUTATIONS[f, how], (chosen.task,))}
