"""Logs of a run that nobody carried out, of any size: a queue that works, with operations that overlap.

As a program: `python -m harness.benches.made FOLDER TASKS PRIORITIES [bodies]`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.history import log
from harness.history.columns import Ints
from harness.history.merge import RECORD

#: Between two effects on the queue; an operation begins, and ends, up to `width` of these around its effect.
GAP_NS = 1000
WIDTH = 3
#: Before the first effect.
LEAD = 200
#: In so many rounds tasks come in, and go out in their order.
ROUNDS = 10


def write_logs(folder: Path, tasks: int, priorities: int, *, bodies: bool, width: int = WIDTH) -> None:
    """Write the logs: each of `tasks` tasks is enqueued and dequeued, and with `bodies` executed and completed; at the
    end a drain finds nothing. As many priorities, at random, or all different where there are as many as tasks."""
    # So many producers, and so many workers, that each is done with one task before it begins the next.
    processes = 5 * width + 1
    rng = np.random.default_rng(1)
    priority = rng.permutation(tasks) if priorities >= tasks else rng.integers(0, priorities, tasks)
    number = np.arange(tasks, dtype=np.int64)
    size = -(-tasks // ROUNDS)
    rounds = number // size
    taken = np.lexsort((number, -priority, rounds)).astype(np.int64)
    # In each round all come in, before the first goes out.
    put_at = (number + rounds * size) * GAP_NS
    take_at = put_at + np.minimum(size, tasks - rounds * size) * GAP_NS
    for process in range(min(processes, tasks)):
        mine = number[process::processes]
        puts = _spans(rng, put_at[mine], log.ENQUEUE, mine, width)
        puts["priority"][::2] = priority[mine]
        _write(folder, f"producer-{process}", puts)
        effect = take_at[mine]
        steps = [_spans(rng, effect, log.DEQUEUE, taken[mine], width)]
        steps[0]["task"][::2] = log.NO_TASK
        if bodies:
            steps += [
                _spans(rng, effect + (width + 1 + 3 * i) * GAP_NS, f, taken[mine], 1) for i, f in enumerate(_BODY)
            ]
        per_step = [one.reshape(-1, 2) for one in steps]
        _write(folder, f"consumer-{process % 4}/w{process}", np.concatenate(per_step, axis=1).ravel())
    over = np.array([int(take_at[-1]) + LEAD * GAP_NS], dtype=np.int64)
    drain = _spans(rng, over, log.DRAIN, np.array([log.NO_TASK]), 1)
    drain["value"] = 0
    _write(folder, "drain", drain)


_BODY = (log.EXECUTE, log.COMPLETE)


def _spans(rng: np.random.Generator, effect: Ints, f: int, task: Ints, gaps: int) -> npt.NDArray[Any]:
    """Invoke and end of an operation around each effect."""
    records = np.zeros((len(effect), 2), dtype=RECORD)
    lead_ns = LEAD * GAP_NS  # no time is below zero
    records["time"][:, 0] = effect - rng.integers(0, gaps * GAP_NS, len(effect)) + lead_ns
    records["time"][:, 1] = effect + rng.integers(0, gaps * GAP_NS, len(effect)) + lead_ns
    records["task"] = task[:, None]
    records["f"] = f
    records["type"] = [log.INVOKE, log.OK]
    return records.ravel()


def _write(folder: Path, name: str, records: npt.NDArray[Any]) -> None:
    path = folder / f"{name.replace('/', '-')}.log"
    header = log.HEADER.pack(log.MAGIC, log.RECORD_BYTES, 1, 0, len(records), 0, 1, name.encode())
    with path.open("wb") as out:
        out.write(header.ljust(log.HEADER_BYTES, b"\0"))
        records.tofile(out)


if __name__ == "__main__":
    write_logs(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), bodies=sys.argv[4:] == ["bodies"])
