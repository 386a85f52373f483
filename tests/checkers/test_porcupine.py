"""A second opinion on order: Porcupine, with a model of the queue, says the same of the same histories."""

from __future__ import annotations

import random
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from harness.benches.side_by_side import ask, build
from harness.checkers import Context, Order
from harness.checkers.order import check
from harness.history.jsonl import write_jsonl
from harness.protocols import HarnessError
from harness.verdict import Validity
from tests.checkers.scattered import judged_by_order, scattered
from tests.checkers.scripts import Op
from tests.checkers.scripts import build as history_of
from tests.checkers.simulated import simulated, swapped

VERDICTS = {"ok": Validity.VALID, "illegal": Validity.INVALID}
SCATTERED = 80
SIMULATED = 15


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Set-up does not install Go: where there is none, or no way to its modules, there is no second opinion."""
    try:
        return build(tmp_path_factory.mktemp("porcupine"))
    except HarnessError as error:
        pytest.skip(str(error))


def histories(order: Order) -> list[list[Op]]:
    """Scattered ones; queues that work, with two tasks of one in each other's place or not."""
    rng = random.Random(f"porcupine {order}")
    made = [judged_by_order(scattered(rng, unseen=rng.choice((0.2, 0.5)))) for _ in range(SCATTERED)]
    for _ in range(SIMULATED):
        valid = [op for op in simulated(rng, 12, order, backlog=5) if op.f in ("enqueue", "dequeue")]
        made += [valid, swapped(valid, *rng.sample(range(12), 2))]
    return made


@pytest.mark.parametrize("order", ["priority-fifo", "priority", "fifo"])
def test_porcupine_agrees(program: Path, tmp_path: Path, order: Order) -> None:
    ours, files = [], []
    for number, ops in enumerate(histories(order)):
        history = history_of(ops)
        ours.append(check(history, Context(order=order)).validity)
        files.append(tmp_path / f"{number}.jsonl")
        write_jsonl(history, files[-1])
    theirs = [VERDICTS[said["verdict"]] for said in ask(program, order, files)]
    assert {Validity.VALID, Validity.INVALID} <= set(theirs)
    differ = [
        file.read_text()
        for file, one, other in zip(files, ours, theirs, strict=True)
        if one is not other and one is not Validity.UNKNOWN
    ]
    assert not differ, differ[0]
    assert ours.count(Validity.UNKNOWN) <= 1


def test_porcupine_refuses_what_its_model_does_not_know(program: Path, tmp_path: Path) -> None:
    write_jsonl(history_of([Op(0, 1, "p", "enqueue", 1), Op(2, 3, "p", "requeue", 1)]), tmp_path / "back.jsonl")
    with pytest.raises(CalledProcessError) as caught:
        ask(program, "fifo", [tmp_path / "back.jsonl"])
    assert "requeue" in caught.value.stderr
