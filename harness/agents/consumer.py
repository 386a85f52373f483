"""`python -m harness.agents.consumer ORDERS`: a real Huey consumer, recorded."""

from __future__ import annotations

from harness.agents.setup import make_recorder, open_huey, read_orders, wait_for_go


def main() -> None:
    """Run until told to stop, by Huey's own signals."""
    orders = read_orders()
    huey, _, _ = open_huey(orders, make_recorder(orders))
    wait_for_go(orders)
    huey.create_consumer(**orders["consumer"]).run()


if __name__ == "__main__":
    main()
