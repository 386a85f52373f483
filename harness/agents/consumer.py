"""`python -m harness.agents.consumer ORDERS`: a real Huey consumer, recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.agents.hearing import run_consumer
from harness.agents.logs import Recorder
from harness.agents.setup import make_recorder, open_huey, read_orders, wait_for_go


def main() -> None:
    """Run until told to stop, by Huey's own signals."""
    orders = read_orders()
    recorder = make_recorder(orders)
    huey, _, _ = open_huey(orders, recorder)
    wait_for_go(orders)
    consume(huey, recorder, orders)


def consume(huey: Any, recorder: Recorder, orders: Mapping[str, Any]) -> None:
    """Be the consumer that is ordered, until told to stop.

    `period_s` shortens the minute after which a scheduler looks again for periodic tasks (huey/consumer.py,
    Scheduler.periodic_task_seconds), for which no Consumer has an option.
    """
    if orders["period_s"] is not None:
        from huey.consumer import Scheduler

        Scheduler.periodic_task_seconds = orders["period_s"]
    run_consumer(huey, recorder, orders["consumer"])


if __name__ == "__main__":
    main()
