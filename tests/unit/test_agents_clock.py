"""An agent's wall clock that can be set: which clocks move with it, and which do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness import clocks

#: Run in an interpreter of its own: a clock that was once made settable stays so.
PROGRAM = """
import datetime, multiprocessing, os, pathlib, pickle, sys, threading, time
from time import time as before

from harness import clocks
from harness.agents.clock import install, true_time_ns

folder = pathlib.Path(sys.argv[1])
install(folder)
import huey.utils
import huey.storage


def off():
    '''How far each clock is before the right time, in s.'''
    right = datetime.datetime.fromtimestamp(true_time_ns() / 1e9)
    right_utc = datetime.datetime.fromtimestamp(true_time_ns() / 1e9, datetime.UTC)
    return [
        time.time() - true_time_ns() / 1e9,
        (time.time_ns() - true_time_ns()) / 1e9,
        (datetime.datetime.now() - right).total_seconds(),
        (datetime.datetime.now(datetime.UTC) - right_utc).total_seconds(),
        (datetime.datetime.today() - right).total_seconds(),
        (huey.utils.utcnow() - right_utc.replace(tzinfo=None)).total_seconds(),
        (huey.utils.normalize_time(None, 0, utc=False) - right).total_seconds(),
    ]


def are(expected):
    found = off()
    assert all(abs(one - expected) < 0.5 for one in found), found


are(0)
for ahead_s in (3600, -60):
    clocks.put(folder, clocks.Setting(ahead_s * 10**9, 1.0, time.monotonic_ns()))
    are(ahead_s)
    assert abs(before() - true_time_ns() / 1e9) < 0.5
    child = os.fork()
    if not child:
        are(ahead_s)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    # Nobody sleeps or waits longer or shorter for it.
    for wait in (time.sleep, threading.Event().wait):
        begun = time.monotonic()
        wait(0.05)
        assert 0.05 <= time.monotonic() - begun < 5
clocks.put(folder, clocks.Setting(0, 3.0, time.monotonic_ns() - 10 * 10**9))
are(20)
now = datetime.datetime.now()
assert type(now) is datetime.datetime
assert pickle.loads(pickle.dumps(now)) == now
class Derived(datetime.datetime):
    pass
assert type(Derived.now()) is Derived
clocks.put(folder, clocks.RIGHT)
are(0)
"""


def test_the_clocks_that_huey_reads_are_set_and_no_others(tmp_path: Path) -> None:
    clocks.put(tmp_path, clocks.RIGHT)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    read = clocks.reading(tmp_path)
    assert read is not None
    assert read.from_ns <= read.to_ns
