"""`python -m harness.agents.drain ORDERS`: looks, once all else has stopped, at what the storage still holds."""

from __future__ import annotations

import time

from harness.agents.recorder import number_in
from harness.agents.setup import make_recorder, open_huey, read_orders, wait_for_go
from harness.history import log

#: The servers were seen healthy before the word came; a client may still have to relearn who is who.
TIMEOUT_S = 10.0


def main() -> None:
    """Record a `drain`: `ok` = nothing is left, `fail` = these tasks are, `info` = the storage would not say."""
    orders = read_orders()
    recorder = make_recorder(orders)
    huey, _, _ = open_huey(orders, None)
    wait_for_go(orders)
    deadline = time.monotonic() + TIMEOUT_S
    out = recorder.log
    out.write(log.INVOKE, log.DRAIN)
    while True:
        try:
            held = [*huey.storage.enqueued_items(), *huey.storage.scheduled_items()]
            break
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            if time.monotonic() > deadline:
                out.write(log.INFO, log.DRAIN, error=log.E_OTHER)
                return
            time.sleep(0.1)
    numbers = [number_in(data, huey) for data in held]
    out.write_list(log.FAIL if numbers else log.OK, log.DRAIN, numbers)
    out.close()


if __name__ == "__main__":
    main()
