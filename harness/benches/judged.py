"""How long it takes to read and judge a history, by its size.

As a program: `python -m harness.benches.judged FOLDER all`.

Wall time and the process's own CPU time are told side by side, since a machine may be busy with others.
"""

from __future__ import annotations

import dataclasses
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from harness.checkers import CHECKERS, Context
from harness.checkers.judge import judge
from harness.history.merge import read_run

ROUNDS = 3
TIMEOUT_S = 900
T = TypeVar("T")


def measure(folder: Path, checkers: str) -> dict[str, Any]:
    """Read the logs below the folder, and judge them by these checkers (`all`, or the name of one)."""
    only = None if checkers == "all" else [checkers]
    context = Context()
    for name in CHECKERS.names():
        CHECKERS.get(name)
    history, read_s, read_cpu_s = _timed(lambda: read_run(folder))
    times = []
    for _ in range(1 if checkers == "all" else ROUNDS):
        # Nothing that was found out about one history is known of the next.
        fresh = dataclasses.replace(history)
        verdict, wall_s, cpu_s = _timed(partial(judge, fresh, context, only))
        times.append((cpu_s, wall_s))
        del fresh
    cpu_s, wall_s = sorted(times)[len(times) // 2]
    return {
        "events": len(history),
        "validity": str(verdict.validity),
        "read_s": round(read_s, 3),
        "read_cpu_s": round(read_cpu_s, 3),
        "judge_s": round(wall_s, 3),
        "judge_cpu_s": round(cpu_s, 3),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20), 2),
    }


def _timed(act: Callable[[], T]) -> tuple[T, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = act()
    return result, time.perf_counter() - wall, time.process_time() - cpu


@contextmanager
def _made(tasks: int, priorities: int, *, bodies: bool = False) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="huey-harness-bench-") as folder:
        _python("harness.benches.made", folder, str(tasks), str(priorities), *(["bodies"] if bodies else []))
        yield folder


def _python(*arguments: str) -> str:
    """What a program of ours prints; each in a process of its own, whose peak of memory is its alone."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True).stdout


def _judged(tasks: int, priorities: int, checkers: str, *, bodies: bool = False) -> dict[str, Any]:
    with _made(tasks, priorities, bodies=bodies) as folder:
        found: dict[str, Any] = json.loads(_python("harness.benches.judged", folder, checkers))
    return found


def order_ten_priorities() -> dict[str, Any]:
    """A million operations, ten priorities: order alone."""
    return {**_judged(500_000, 10, "order"), "operations": 1_000_000, "aim": "judge <= 0.8 s"}


def order_distinct_priorities() -> dict[str, Any]:
    """A million operations, each task of a priority of its own: order alone."""
    return {**_judged(500_000, 500_000, "order"), "operations": 1_000_000, "aim": "judge <= 2 s"}


def all_checkers_ten_million() -> dict[str, Any]:
    """Ten million operations, four a task, through all checkers."""
    return {
        **_judged(2_500_000, 10, "all", bodies=True),
        "operations": 10_000_000,
        "aim": "judge <= 15 s, peak <= 4 GiB, reading included",
    }


def order_by_size() -> dict[str, Any]:
    """Order alone, from 10^4 to 10^7 operations: CPU time over n log n, as a multiple of that of 10^5."""
    sizes = {}
    for operations in (10**4, 3 * 10**4, 10**5, 3 * 10**5, 10**6, 3 * 10**6, 10**7):
        sizes[operations] = _judged(operations // 2, 10, "order")["judge_cpu_s"]
    base = sizes[10**5] / (10**5 * math.log2(10**5))
    return {
        "judge_cpu_s": {str(one): seconds for one, seconds in sizes.items()},
        "over_n_log_n": {str(one): round(seconds / (one * math.log2(one)) / base, 2) for one, seconds in sizes.items()},
        "aim": "over_n_log_n stays where it is, or falls",
    }


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2])))
