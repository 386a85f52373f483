"""`python -m harness.agents.one_process ORDERS`: producers, a real Huey consumer and the drain in one process.

For storages that keep what they keep in memory. In a history each goes by the name that it would have as a
process of its own; the consumer runs in the main thread, which gets the signals.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from harness.agents.consumer import consume
from harness.agents.drain import TIMEOUT_S, drain
from harness.agents.logs import Recorder, next_incarnation
from harness.agents.producer import produce
from harness.agents.setup import open_huey, read_orders, wait_for_go

#: Exit status where a producer failed (sysexits.h, EX_SOFTWARE).
FAILED = 70


class _Recorder(Recorder):
    """Producers' threads are called like their producers, which are agents of their own."""

    def __init__(self, folder: Path, agent: str, producers: Collection[str]) -> None:
        super().__init__(folder, agent, next_incarnation(folder, agent))
        self._producers = producers

    def caller(self) -> str:
        """The producer whose thread calls, or what it calls a thread of its own; or the consumer's worker."""
        name = threading.current_thread().name
        return name if name.partition("/")[0] in self._producers else super().caller()


def main() -> None:
    """Run until told to stop, by Huey's own signals; then drain."""
    orders = read_orders()
    folder = Path(orders["history"])
    jobs = orders["producers"]
    recorder = _Recorder(folder, orders["agent"], [job["agent"] for job in jobs])
    huey, works, notes = open_huey(orders, recorder)

    def run(job: Mapping[str, Any]) -> None:
        try:
            wait_for_go(job)
            produce(huey, works[job["producer"]["workload"]], notes, job["producer"])
            (folder / f"{job['agent']}.done").touch()
        except BaseException:
            # Of a thread that ended, nobody would ever hear.
            traceback.print_exc()
            os._exit(FAILED)

    for job in jobs:
        threading.Thread(target=run, args=(job,), name=job["agent"], daemon=True).start()
    wait_for_go(orders)
    consume(huey, recorder, orders)
    out = Recorder(folder, "drain", next_incarnation(folder, "drain")).log
    drain(huey, out, TIMEOUT_S)
    out.close()


if __name__ == "__main__":
    main()
