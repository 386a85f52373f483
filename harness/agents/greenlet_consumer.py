"""`python -m harness.agents.greenlet_consumer ORDERS`: the consumer whose workers are greenlets of one thread.

gevent has to put its own in the place of sockets, locks and `threading.local` before anything else takes hold of these
(https://www.gevent.org/api/gevent.monkey.html), so nothing of ours is imported above. A worker's `threading.local` is
then that greenlet's own, and with it its log.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Run until told to stop, by Huey's own signals."""
    # As `setup.read_orders` has it of a consumer that was told to restart; gevent would find our `numbers` as well.
    here = str(Path(__file__).parent)
    sys.path[:] = [path for path in sys.path if path != here]
    from gevent import monkey

    monkey.patch_all()
    name_workers()
    from harness.agents import consumer

    consumer.main()


def name_workers() -> None:
    """Let each worker's greenlet go by Huey's own name for it, as threads do: Huey gives greenlets none."""
    import threading

    from huey.consumer import GreenletEnvironment

    create = GreenletEnvironment.create_process

    def create_named(self: Any, runnable: Any, name: str) -> Any:
        def named() -> None:
            threading.current_thread().name = name
            runnable()

        return create(self, named, name)

    GreenletEnvironment.create_process = create_named


if __name__ == "__main__":
    main()
