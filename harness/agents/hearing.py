"""A Huey consumer that leaves a file behind as soon as it goes by its signals.

Huey starts a consumer's workers first, and sets its signal handlers last (huey/consumer.py, Consumer.start): one that
records operations already may still be ended by a SIGTERM as any program is, without stopping its workers.
"""

from __future__ import annotations

from typing import Any

from harness.agents.logs import Recorder


def run_consumer(huey: Any, recorder: Recorder, options: dict[str, Any]) -> None:
    """Run one until it is told to stop, by Huey's own signals."""
    consumer = huey.create_consumer(**options)
    start = consumer.start

    def start_and_tell() -> None:
        start()
        (recorder.folder / f"{recorder.agent}.{recorder.incarnation}.hears").touch()

    consumer.start = start_and_tell
    consumer.run()
