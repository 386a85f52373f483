"""Workers that are greenlets: each has a log of its own, under Huey's name for it, whatever they do meanwhile."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from harness.backends.own import resolve
from harness.history import log
from harness.history.columns import History
from harness.history.merge import read_run
from harness.protocols import Unavailable
from harness.scenario_file import find_scenarios, load
from harness.session import Options, Session

(SCENARIO,) = (load(path)[0] for path in find_scenarios(None) if path.stem == "greenlets")

#: Three greenlets dequeue, and none of them comes back before all have asked.
PROGRAM = """
import sys
from pathlib import Path
from gevent import monkey
monkey.patch_all()
from harness.agents.greenlet_consumer import name_workers
name_workers()
import gevent
from gevent.event import Event
from huey.api import MemoryHuey
from huey.consumer import GreenletEnvironment
from harness.agents.logs import Recorder
from harness.agents.recorder import record

huey, asked, all_asked = MemoryHuey("q"), [], Event()

def dequeue():
    asked.append(1)
    if len(asked) == 3:
        all_asked.set()
    assert all_asked.wait(5)

huey.storage.dequeue = dequeue
record(huey, Recorder(Path(sys.argv[1]), "consumer-0", 0))
environment = GreenletEnvironment()
workers = [environment.create_process(huey.storage.dequeue, f"Worker-{i}") for i in (1, 2, 3)]
for worker in workers:
    worker.start()
gevent.joinall(workers, timeout=10, raise_error=True)
"""


@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="needs gevent")
def test_each_greenlet_has_a_log_under_its_own_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    history: History = read_run(tmp_path)
    told = [(history.processes[history.process[i]], log.TYPES[history.type[i]]) for i in range(6)]
    assert [type_ for _, type_ in told] == ["invoke"] * 3 + ["fail"] * 3
    for half in (told[:3], told[3:]):
        assert {process for process, _ in half} == {"consumer-0/w1", "consumer-0/w2", "consumer-0/w3"}


def test_without_gevent_it_is_a_skip_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(Options(("redis",), runtime="local"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match=r"greenlets needs gevent, which is not installed\n  → pip install gevent"):
        session.run(session.plan(SCENARIO, resolve("redis")), lambda *_: None)


def test_another_interpreter_gets_gevent_with_its_huey() -> None:
    session = Session(Options(("redis",), runtime="local"))
    (redis,) = session.backends
    assert session.plan(SCENARIO, redis).requires == ()
    assert [one for one in session.plan(SCENARIO, redis, "3.0.1").requires if "redis" not in one] == [
        "gevent",
        "huey==3.0.1",
    ]
