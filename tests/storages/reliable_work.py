"""Run as a program by test_reliable_consumer.py: a consumer, with tasks that tell what befalls them.

Argument: JSON with `class`, `name`, `options` of the Huey, `consumer` for those of the consumer. What happens goes to
the list `log.NAME` of the server, as `what:number:process`; a `block` ends when there is a key `release.NAME`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

RELEASE_TIMEOUT_S = 30.0


def make_huey(given: dict[str, Any]) -> Any:
    """The Huey with its tasks, for the consumer and for those who enqueue."""
    import harness.storages

    huey = getattr(harness.storages, given["class"])(given["name"], **given["options"])

    def tell(what: str, number: int = 0) -> None:
        huey.storage.conn.rpush(f"log.{huey.name}", f"{what}:{number}:{os.getpid()}")

    huey.tell = tell

    @huey.task(name="note")
    def note(number: int) -> int:
        tell("note", number)
        return number

    @huey.task(name="block")
    def block(number: int) -> int:
        tell("begin", number)
        deadline = time.monotonic() + RELEASE_TIMEOUT_S
        while not huey.storage.conn.exists(f"release.{huey.name}"):
            if time.monotonic() > deadline:
                raise TimeoutError("nobody released the task")
            time.sleep(0.01)
        tell("end", number)
        return number

    @huey.signal()
    def told(signal: str, task: Any, *_: Any) -> None:
        if signal in ("interrupted", "refused"):
            tell(signal, task.args[0])

    @huey.on_shutdown()
    def left() -> None:
        tell("left")

    huey.note, huey.block = note, block
    return huey


def main() -> None:
    given = json.loads(sys.argv[1])
    if given["consumer"].get("worker_type") == "greenlet":
        from gevent import monkey

        monkey.patch_all()
    huey = make_huey(given)
    consumer = huey.create_consumer(**given["consumer"])
    set_handlers = consumer._set_signal_handlers

    def set_and_tell() -> None:
        set_handlers()
        huey.tell("ready")

    consumer._set_signal_handlers = set_and_tell
    consumer.run()
    huey.tell("exit")


if __name__ == "__main__":
    # Huey knows tasks by their module: here they must be of the one that the tests import.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.storages import reliable_work

    reliable_work.main()
