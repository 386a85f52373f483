"""`python -m harness.benches.agent ORDERS`: a real Huey consumer, not recorded, that waits for the word to go."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from harness.agents.setup import wait_for_go
from harness.benches.queues import Queue


def main() -> None:
    """Run until killed, or told to stop by Huey's own signals."""
    orders = json.loads(Path(sys.argv[1]).read_text())
    os.sched_setaffinity(0, orders["cores"])
    consumer = Queue(**orders["queue"]).open(**orders["where"]).huey.create_consumer(**orders["consumer"])
    Path(orders["ready"]).touch()
    wait_for_go(orders)
    consumer.run()


if __name__ == "__main__":
    main()
