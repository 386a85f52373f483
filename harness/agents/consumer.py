"""`python -m harness.agents.consumer ORDERS`: a real Huey consumer, recorded."""

from __future__ import annotations

from harness.agents.hearing import run_consumer
from harness.agents.setup import make_recorder, open_huey, read_orders, wait_for_go


def main() -> None:
    """Run until told to stop, by Huey's own signals."""
    orders = read_orders()
    recorder = make_recorder(orders)
    huey, _, _ = open_huey(orders, recorder)
    wait_for_go(orders)
    run_consumer(huey, recorder, orders["consumer"])


if __name__ == "__main__":
    main()
