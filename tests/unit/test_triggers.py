"""When a fault's moment has come."""

from __future__ import annotations

import time
from pathlib import Path

from harness.history import log
from harness.history.log import LogWriter
from harness.progress import Progress
from harness.scenario import Trigger
from harness.triggers import Moments

NOBODY: frozenset[str] = frozenset()


def test_later_is_counted_from_when_it_first_held_and_it_must_hold_then(tmp_path: Path) -> None:
    own = LogWriter(tmp_path / "w1.log", "consumer-0/w1")
    progress = Progress(tmp_path)
    moments = Moments(10, progress)
    at = Trigger.model_validate({"held": 1, "later": "20ms"})
    own.write(log.OK, log.DEQUEUE, 1)
    progress.poll()
    assert not moments.due(0, at, NOBODY)
    deadline = time.monotonic() + 5
    while not moments.due(0, at, NOBODY):
        assert time.monotonic() < deadline
    own.write(log.OK, log.COMPLETE, 1)
    progress.poll()
    assert not moments.due(0, at, NOBODY)  # nobody holds anything any more
    own.write(log.OK, log.DEQUEUE, 2)
    progress.poll()
    assert moments.due(0, at, NOBODY)
    assert moments.meant(at, NOBODY) == {"consumer-0"}
    assert not moments.due(0, at, frozenset({"consumer-0"}))  # a fault has it already


def test_depth_of_the_queue_and_leases(tmp_path: Path) -> None:
    own, server = LogWriter(tmp_path / "p.log", "producer-0"), LogWriter(tmp_path / "s.log", "consumer-0/w1/server")
    progress = Progress(tmp_path)
    moments = Moments(10, progress)
    queued, expired = Trigger(queued=2), Trigger(lease_expired=1)
    own.write(log.OK, log.ENQUEUE, 1)
    progress.poll()
    assert not moments.due(0, queued, NOBODY)
    assert not moments.due(1, expired, NOBODY)
    own.write(log.OK, log.ENQUEUE, 2)
    server.write(log.OK, log.REQUEUE, 3)
    progress.poll()
    assert moments.due(0, queued, NOBODY)
    assert moments.due(1, expired, NOBODY)
    assert moments.meant(expired, NOBODY) == NOBODY
