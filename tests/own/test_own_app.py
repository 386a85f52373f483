"""docs/your-own-app.md: somebody's Huey instance, its tasks under chaos, and what it cannot do meanwhile."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.applies import why_not
from harness.backends.own import is_class, resolve
from harness.instances import find
from harness.load import why_not_loaded, with_load
from harness.protocols import HarnessError
from harness.scenario_file import find_scenarios, locate
from tests.e2e.job import ROOT, anomalies, run_job

GUIDE = (ROOT / "docs" / "your-own-app.md").read_text()
COMMANDS = re.findall(r"^\$ pytest (.+)$", GUIDE, re.MULTILINE)
BLOCKS = re.findall(r"^```(python|yaml)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
SHOP, LOAD = "tests.own.shop.tasks:huey", "tests.own.shop.load:customers"
SCENARIOS = {one.scenario.name: one.scenario for one in locate(find_scenarios(None))}


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a module into the current folder; its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def written(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return written


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """What somebody's production may be: it hears of everybody who comes by."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        server.setblocking(False)
        yield server


def comers(listener: socket.socket) -> int:
    """How many have come by since the last call."""
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def address() -> str:
    """One of this machine's own, beside loopback, where it has any."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


# ------------------------------------------------------------ what is behind a name


def test_a_class_is_told_from_an_instance_without_importing_either(put: Any) -> None:
    put("mine", "raise SystemExit\nclass Mine: ...\nhuey = Mine()\n")
    assert (is_class("mine:Mine"), is_class("mine:huey"), is_class("nowhere:huey")) == (True, False, True)


#: A module each, of which `huey` is asked for, with what load; and what is said of it.
REFUSED: dict[str, tuple[str, str | None, list[str]]] = {
    "pooled": (
        "import redis\nfrom huey import RedisHuey\nhuey = RedisHuey(connection_pool=redis.ConnectionPool())",
        None,
        ["pooled:huey", "RedisStorage is made with connection_pool= a ConnectionPool", "host="],
    ),
    "replicated": (
        "from huey import SqliteHuey\nhuey = SqliteHuey(filename='/x.db', replica='postgres://u:secret@h/d')",
        None,
        ["replica= a str", "numbers, True, False and None"],
    ),
    "failing": ("\nraise OSError('no way')", None, ["OSError: no way", "failing.py, line 2"]),
    "early": (
        "from huey import RedisHuey\nhuey = RedisHuey()\nhuey.flush()",
        None,
        ["RedisStorage that is not there", "early.py, line 3"],
    ),
    "number": ("huey = 3", None, ["number:huey", "a int, not a Huey"]),
    "misspelt": ("from huey import RedisHuey\nhuye = RedisHuey()", None, ["no 'huey'", "Did you mean 'huye'?"]),
    "foreign": (
        "from huey import RedisHuey\nclass Mine:\n    name = 'x'\nclass H(RedisHuey):\n"
        "    def create_storage(self):\n        return Mine()\nhuey = H()",
        None,
        ["its storage is a Mine", "huey.storage.BaseStorage"],
    ),
    "loaded": (
        "from huey import RedisHuey\nhuey = RedisHuey()\ndef customers(draw):\n    pass",
        "loaded:custmers",
        ["no 'custmers'", "Did you mean 'customers'?"],
    ),
    "unloaded": (
        "from huey import RedisHuey\nhuey = RedisHuey()",
        "nowhere:customers",
        ["'nowhere'", "ModuleNotFoundError"],
    ),
    "other": (
        "from huey import RedisHuey\nhuey, two = RedisHuey('one'), RedisHuey('two')\n@two.task()\n"
        "def work():\n    pass",
        "other:work",
        ["is a task of another Huey, 'two'"],
    ),
    "three": (
        "from huey import RedisHuey\nhuey, THREE = RedisHuey(), 3",
        "three:THREE",
        ["is a int", "yields what is to be enqueued"],
    ),
}
ASK = """
import json, sys
from harness.backends.instance import describe
from harness.protocols import HarnessError
said = {}
for name, load in json.loads(sys.argv[1]).items():
    try:
        said[name] = str(describe(f"{name}:huey", load))
    except HarnessError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


def test_what_cannot_be_rebuilt_is_refused(put: Any) -> None:
    for name, (text, _, _) in REFUSED.items():
        put(name, text + "\n")
    asked = json.dumps({name: load for name, (_, load, _) in REFUSED.items()})
    done = subprocess.run([sys.executable, "-c", ASK, asked], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    for name, (_, _, words) in REFUSED.items():
        for one in words:
            assert one in said[name], said[name]
        assert "secret" not in said[name]


@pytest.mark.world
def test_what_ends_its_process_is_refused_as_well(put: Any) -> None:
    put("ends", "raise SystemExit('no more')\n")
    with pytest.raises(HarnessError, match=r"(?s)ends:huey.*ended its process when it was imported.*no more"):
        find("ends:huey", "local", "valkey-9")


@pytest.mark.world
def test_an_instance_becomes_what_its_class_is(put: Any) -> None:
    put(
        "mine",
        "from huey import PriorityRedisHuey\n"
        "huey = PriorityRedisHuey('mine', url='redis://u:p@192.0.2.1:1/3', immediate=True)\n",
    )
    put(
        "own",
        "from huey import Huey\nfrom tests.own.sqlite_queue import SqliteQueue\n"
        "huey = Huey('own', storage_class=SqliteQueue, path='/nonexistent')\n",
    )
    put("kinds", "from huey import RedisHuey as Kind\n")
    found, known = find("mine:huey", "local", "valkey-9"), resolve("redis-priority")
    assert (found.backend.topology, found.backend.limits) == (known.topology, known.limits)
    assert found.backend.template and "immediate" in found.remarks[0]
    own = find("own:huey", "local", "valkey-9")
    assert (own.backend.topology, own.backend.order, own.backend.limits) == ("folder", "priority-fifo", ())
    assert own.remarks == () and "mine" not in sys.modules
    assert not find("kinds:Kind", "local", "valkey-9").backend.template


# ------------------------------------------------------------ what it is asked


def test_a_load_takes_the_place_of_plain_tasks() -> None:
    crash = with_load(SCENARIOS["worker-crash"], LOAD)
    assert (crash.workload.kind, crash.workload.load) == ("app", LOAD)
    assert (crash.workload.tasks, crash.workload.rate) == (2400, 600)
    assert crash.faults == SCENARIOS["worker-crash"].faults
    chords = SCENARIOS["chords"]
    assert with_load(chords, LOAD) is chords and "chords" in (why_not_loaded(chords, LOAD) or "")
    assert why_not_loaded(crash, LOAD) is None and why_not_loaded(chords, None) is None
    assert "an instance brings" in (why_not(crash, resolve("redis")) or "")


@pytest.mark.cluster
@pytest.mark.world
def test_nothing_of_it_reaches_what_it_names(tmp_path: Path, listener: socket.socket, put: Any) -> None:
    port, here = listener.getsockname()[1], address()
    put(
        "prod",
        "import os, socket\nfrom huey import PriorityRedisHuey\nassert os.environ['PROD'] == 'yes'\n"
        f"HERE = ('127.0.0.1', {port}), ({here!r}, {port})\n"
        f"huey = PriorityRedisHuey('prod', host={here!r}, port={port})\n"
        "def reach():\n    reached = 0\n    for one in HERE:\n"
        "        try:\n            socket.create_connection(one, 1).close()\n            reached += 1\n"
        "        except OSError:\n            pass\n    return reached\n"
        "reach()\n@huey.task()\ndef work():\n    assert reach() == 0\n",
    )
    for one in ("127.0.0.1", here):
        socket.create_connection((one, port), 1).close()
    assert comers(listener) == 2
    job = run_job(
        tmp_path / "reports", "--huey-backend=prod:huey", "--huey-load=prod:work", "--huey-scenario=steady",
        "--huey-scale=0.05", "--huey-runtime=local", env={"PYTHONPATH": str(tmp_path), "PROD": "yes"},
    )  # fmt: skip
    (verdict,) = job.verdicts().values()
    assert (verdict["validity"], verdict["counts"]["completed"]) == ("valid", 120), job.output
    assert comers(listener) == 0
    (stored,) = (tmp_path / "reports").glob("latest/*/*/plan.json")
    assert str(port) not in stored.read_text()


# ------------------------------------------------------------ the guide


def test_the_guide_shows_what_there_is() -> None:
    assert len(BLOCKS) >= 2
    files = [path.read_text() for path in (ROOT / "tests" / "own" / "shop").glob("*.*")]
    for _, block in BLOCKS:
        assert any(block.strip() in text for text in files), block


@pytest.mark.cluster
@pytest.mark.world
def test_what_the_guide_says_of_its_commands(tmp_path: Path) -> None:
    # All in one: what they run on is the same.
    words = dict.fromkeys(word for command in COMMANDS for word in shlex.split(command))
    job = run_job(tmp_path, *words, "--huey-runtime=local", "--huey-seed=7")
    assert {scenario for scenario, _ in job.verdicts()} == {"steady", "shop-mails"}, job.output
    for (scenario, _), verdict in job.verdicts().items():
        assert verdict["counts"]["acknowledged"] > verdict["counts"]["attempted"] * 0.9 > 0, job.output
        assert anomalies(verdict) == anomalies(verdict, covered=True) <= {"lost_in_flight"}, job.output
        assert verdict["validity"] in (["valid"] if scenario == "steady" else ["valid", "invalid"]), job.output
    assert job.exit == 0, job.output
