"""The campaign of the recorder: ten million events by writers that are killed in mid-write, a hundred times.

Each writer raises a counter in memory that it shares with the campaign after every write that has returned. What the
counter says must be in its log, record by record; of what was being written when the SIGKILL came, all or nothing.
`docs/recorder.json` is what came out.
"""

from __future__ import annotations

import argparse
import json
import mmap
import multiprocessing
import random
import struct
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.agents.logs import ThreadLog
from harness.history import log
from harness.history.columns import History
from harness.history.merge import read_run
from harness.protocols import DeadlineExceeded

RESULT = Path("docs/recorder.json")
KILLS = 100
EVENTS = 10_000_000
#: How many write at a time.
SIDE_BY_SIDE = 2
#: A writer that has not written its share by then is stuck.
WRITER_TIMEOUT_S = 120.0
#: What is written of each task: its enqueue, and a completion in one store.
KINDS = (
    (log.INVOKE, log.ENQUEUE),
    (log.OK, log.ENQUEUE),
    (log.INVOKE, log.COMPLETE),
    (log.OK, log.COMPLETE),
)
_fork = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Outcome:
    """What became of one writer: events whose write had returned, and events that are in its log."""

    returned: int
    found: int
    #: In words, what is wrong with the log; nothing where all is right.
    wrong: str = ""


def main(arguments: Iterable[str] | None = None) -> int:
    """Carry it out; 1 if an event was lost."""
    parser = argparse.ArgumentParser(prog="python -m harness.evidence_recorder", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="in all (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=KILLS, help="writers, each of them killed (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="draws the moments of the kills (default: %(default)s)")
    options = parser.parse_args(None if arguments is None else list(arguments))
    summary = campaign(options.events, options.kills, options.seed)
    RESULT.write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary))
    return 1 if summary["lost"] or summary["wrong"] else 0


def campaign(events: int, kills: int, seed: int) -> dict[str, Any]:
    """At least so many events by `kills` writers, each killed at a moment drawn by the seed; what was found.

    Raises DeadlineExceeded naming the writer that did not get its share written.
    """
    rng = random.Random(seed)
    outcomes: list[Outcome] = []
    share = -(-events // kills)
    while len(outcomes) < kills:
        batch = min(SIDE_BY_SIDE, kills - len(outcomes))
        outcomes += _kill_some([share + rng.randrange(share // 10 + 1) for _ in range(batch)])
    return {
        "events": sum(one.found for one in outcomes),
        "kills": len(outcomes),
        "seed": seed,
        "lost": sum(max(0, one.returned - one.found) for one in outcomes),
        "published_and_not_returned": sum(max(0, one.found - one.returned) for one in outcomes),
        "wrong": [one.wrong for one in outcomes if one.wrong],
    }


def _kill_some(shares: list[int]) -> list[Outcome]:
    """Let one writer a share write side by side, and kill each as soon as it is seen to have written that much."""
    with tempfile.TemporaryDirectory(prefix="huey-harness-recorder-") as folder:
        writers = []
        try:
            for number, share in enumerate(shares):
                counter = mmap.mmap(-1, mmap.PAGESIZE)
                place = Path(folder, str(number))
                place.mkdir()
                process = _fork.Process(target=_write, args=(place / "writer.log", counter), daemon=True)
                process.start()
                writers.append((process, counter, place, share))
            deadline = time.monotonic() + WRITER_TIMEOUT_S
            for process, counter, place, share in writers:
                while _returned(counter) < share:
                    if time.monotonic() > deadline or not process.is_alive():
                        raise DeadlineExceeded(f"writer {place.name} wrote {_returned(counter):,} of {share:,} events")
                    time.sleep(0.0005)
                process.kill()
                process.join()
        finally:
            for process, *_ in writers:
                process.kill()
                process.join()
        return [judge(read_run(place), _returned(counter)) for _, counter, place, _ in writers]


def _write(path: Path, counter: mmap.mmap) -> None:
    """Write until killed."""
    returned = memoryview(counter).cast("Q")
    written = 0
    own = ThreadLog(path, "writer")
    begun, ended = own.enqueue
    for task in range(1 << 40):
        begun(task)
        returned[0] = written + 1
        ended(task)
        returned[0] = written + 2
        own.completed(task)
        written += 4
        returned[0] = written


def _returned(counter: mmap.mmap) -> int:
    number: int = struct.unpack_from("<Q", counter)[0]
    return number


def judge(history: History, returned: int) -> Outcome:
    """Hold what was read from a writer's log against the number of events whose write had returned."""
    found = len(history)
    number = np.arange(found)
    kinds = np.array(KINDS)[number % len(KINDS)].reshape(found, 2)
    # A completion is one store: the last write is one event, or two at once.
    under_way = (1, 1, 2, 0)[returned % len(KINDS)]
    wrong = ""
    if history.warnings or history.dropped:
        wrong = f"{history.dropped} dropped; {history.warnings}"
    elif found - returned not in (0, under_way):
        wrong = f"{found:,} events in the log, and the writes of {returned:,} had returned"
    elif (history.task != number // len(KINDS)).any() or (np.stack([history.type, history.f], axis=1) != kinds).any():
        wrong = "events that nobody wrote"
    return Outcome(returned, found, wrong)


if __name__ == "__main__":
    raise SystemExit(main())
