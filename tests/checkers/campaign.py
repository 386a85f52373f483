"""`make evidence`: the order checker against its definition, over 100,000 and more random histories in each order.

    python -m tests.checkers.campaign

A chunk of histories is drawn from its own seed. What was tried is kept, a line a chunk, in
`reports/evidence/order.jsonl`, and not tried again: the campaign is resumable.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.checkers import Context, Order
from harness.checkers.order import check
from harness.history import log
from harness.verdict import Validity
from tests.checkers.brute import linearizable
from tests.checkers.scattered import handed_back, judged_by_order, scattered
from tests.checkers.scripts import Op, build

ORDERS: tuple[Order, ...] = ("priority-fifo", "priority", "fifo")
FILE = Path("reports/evidence/order.jsonl")
TASKS_MAX = 8
CHUNK = 1000
CHUNKS = 105
#: Of a disagreement so many are kept word for word.
KEPT_MAX = 3


def draw(rng: random.Random) -> list[Op]:
    """A history: enqueues without an end, dequeues that crashed, entries that were handed back are all in the mix."""
    kind = rng.random()
    if kind < 0.15:
        return handed_back(rng, tasks=TASKS_MAX)
    return scattered(rng, unseen=rng.choice((0.2, 0.5)), requeues=kind < 0.55, tasks=TASKS_MAX)


def one_chunk(order: Order, chunk: int, size: int = CHUNK) -> dict[str, Any]:
    """Try a chunk, and count: `missed` was let pass and has no order, `false` was convicted and has one."""
    rng = random.Random(f"{order} {chunk}")
    counts: Counter[str] = Counter()
    kept: list[str] = []
    began_s = time.process_time()
    for _ in range(size):
        ops = judged_by_order(draw(rng))
        got = check(build(ops), Context(order=order)).validity
        counts[str(got)] += 1
        counts["open_enqueues"] += any(op.f == "enqueue" and op.how == log.INFO for op in ops)
        counts["crashed_dequeues"] += any(op.f == "dequeue" and op.how == log.INFO for op in ops)
        counts["requeued"] += any(op.f == "requeue" for op in ops)
        if got is Validity.UNKNOWN or (got is Validity.VALID) == linearizable(ops, order):
            continue
        counts["missed" if got is Validity.VALID else "false"] += 1
        if len(kept) < KEPT_MAX:
            kept.append(repr(ops))
    return {
        "order": order, "chunk": chunk, "histories": size, "tasks_max": TASKS_MAX,
        **{name: counts[name] for name in ("valid", "invalid", "unknown", "missed", "false")},
        **{name: counts[name] for name in ("open_enqueues", "crashed_dequeues", "requeued")},
        "cpu_s": round(time.process_time() - began_s, 1), "kept": kept,
    }  # fmt: skip


def main(arguments: Iterable[str] | None = None) -> int:
    """Try what was not tried yet, and print what all of it adds up to; 1 if anything disagrees."""
    parser = argparse.ArgumentParser(prog="python -m tests.checkers.campaign", description=__doc__)
    parser.add_argument("--chunks", type=int, default=CHUNKS, help="chunks of 1,000 for each order (%(default)s)")
    parser.add_argument("--file", type=Path, default=FILE, help="what was tried so far (%(default)s)")
    options = parser.parse_args(None if arguments is None else list(arguments))
    options.file.parent.mkdir(parents=True, exist_ok=True)
    lines = options.file.read_text().splitlines() if options.file.exists() else []
    rows = [json.loads(line) for line in lines]
    tried = {(row["order"], row["chunk"]) for row in rows}
    with options.file.open("a") as out:
        for chunk in range(options.chunks):
            for order in ORDERS:
                if (order, chunk) in tried:
                    continue
                rows.append(one_chunk(order, chunk))
                out.write(json.dumps(rows[-1]) + "\n")
                out.flush()
    wrong = 0
    for order in ORDERS:
        mine = [row for row in rows if row["order"] == order]
        total = {name: sum(row[name] for row in mine) for name in mine[0] if isinstance(mine[0][name], int)}
        wrong += total["missed"] + total["false"]
        print(
            json.dumps({"order": order, **{name: total[name] for name in total if name not in ("chunk", "tasks_max")}})
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
