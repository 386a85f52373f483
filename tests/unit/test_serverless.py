"""Backends without servers: what their topologies give, what their classes get, and what they can be asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.applies import why_not
from harness.backends import BACKENDS
from harness.backends.own import resolve
from harness.plan import draw_plan
from harness.protocols import HarnessError, Topology
from harness.scenario import TopologySpec
from harness.scenario_file import find_scenarios, load, read_scenarios
from harness.session import Options, Session
from harness.topologies import TOPOLOGIES
from tests.unit.test_plugin import collected, pytest_in

SCENARIOS = {path.stem: load(path)[0] for path in find_scenarios(None)}
#: What nobody needs a place for values for; and what takes one.
OF_TASKS = {"expiry", "long", "periodic", "pipelines", "poison", "steady", "storms"}
OF_VALUES = {"chords", "groups", "locks", "rate-limits", "results", "retries", "revocation"}
OF_WORKERS = {
    *OF_TASKS,
    *OF_VALUES,
    *("folder-full", "locks-crash", "storage-locked", "timeouts"),
    *("impatient-stop", "lease-outlived", "scheduler-crash", "steady", "worker-crash", "worker-pause"),
    *("clock-ahead", "clock-behind", "consumer-starved", "greenlets", "priority-backlog", "producer-crash"),
    *("worker-process-kill", "worker-stop"),
}
APPLY = {
    "file": {*OF_WORKERS, "folder-read-only"},
    "sqlite": OF_WORKERS,
    "cysqlite": OF_WORKERS,
    "memory": {*OF_TASKS, *OF_VALUES, "consumer-starved", "lease-outlived", "priority-backlog", "worker-pause"},
    "blackhole": OF_TASKS,
}


def topology(kind: str, root: Path) -> Topology:
    runtime: Any = SimpleNamespace(root=root)
    return TOPOLOGIES.get(kind)(runtime, TopologySpec())


def test_a_folder_is_emptied_and_stays_where_it_is(tmp_path: Path) -> None:
    folder = topology("folder", tmp_path)
    folder.start()
    (path,) = folder.client_files
    assert folder.connection() == {"path": str(path)}
    inode = path.stat().st_ino
    (path / "queue").mkdir()
    (path / "queue" / "task").touch()
    (path / "huey.db").touch()
    (path / "link").symlink_to(tmp_path)
    folder.reset()
    assert list(path.iterdir()) == []
    assert path.stat().st_ino == inode
    assert tmp_path.exists()


def test_a_folder_that_cannot_be_emptied_is_told(tmp_path: Path) -> None:
    folder = topology("folder", tmp_path)  # not started: there is none
    with pytest.raises(HarnessError, match="cannot empty"):
        folder.reset()


@pytest.mark.parametrize("kind", ["folder", "none"])
def test_there_are_no_servers(tmp_path: Path, kind: str) -> None:
    without = topology(kind, tmp_path)
    without.wait_ready(0)
    assert (without.kind, dict(without.nodes), without.members()) == (kind, {}, ())
    assert without.replicas_of("queue") == ()
    with pytest.raises(HarnessError, match="has no servers"):
        without.primary_of("queue")


def test_in_no_topology_nothing_but_a_name_is_needed(tmp_path: Path) -> None:
    nothing = topology("none", tmp_path)
    nothing.start()
    nothing.reset()
    assert nothing.connection() == {}
    assert nothing.client_files == ()


def test_who_takes_a_file_gets_one_in_the_folder() -> None:
    assert resolve("file").arguments({"path": "/f"}) == {"path": "/f"}
    assert resolve("sqlite").arguments({"path": "/f"}) == {"filename": "/f/huey.db"}
    assert resolve("huey:SqliteHuey").arguments({"path": "/f"}) == {"filename": "/f/huey.db"}
    assert resolve("memory").arguments({}) == {}
    assert resolve("reliable").arguments({"url": "u"})["lease_s"] == resolve("reliable").kwargs["lease_s"]


@pytest.mark.parametrize("backend", [backend.name for backend in BACKENDS if not backend.requires])
def test_a_class_of_ones_own_takes_after_its_own_kind(backend: str) -> None:
    """Each built-in class, named as one of one's own, is told from all others by its storage class."""
    built_in = resolve(backend)
    own = resolve(built_in.huey)
    assert (own.topology, own.order, own.limits) == (built_in.topology, built_in.order, built_in.limits)
    assert (own.file_argument, own.package, own.forgets) == (
        built_in.file_argument,
        built_in.package,
        built_in.forgets,
    )


@pytest.mark.parametrize("backend", APPLY)
def test_what_applies(backend: str) -> None:
    found = {name for name, scenario in SCENARIOS.items() if why_not(scenario, resolve(backend)) is None}
    assert found == APPLY[backend]


@pytest.mark.parametrize(
    ("scenario", "backend", "why"),
    [
        ("steady", "cluster-alive", "none of its faults strikes servers"),
        ("priority-backlog", "redis", "its workload needs priority"),
        ("partition-minority", "redis", "it is for the topologies cluster, sentinel"),
        ("primary-loss", "file", "kill strikes a primary-of-queue, and the topology folder has none"),
        ("worker-crash", "memory", "kill would end the one process"),
        ("worker-stop", "memory", "terminate would end the one process"),
        ("worker-pause", "blackhole", "nothing is ever queued"),
        ("greenlets", "memory", "kill would end the one process"),
    ],
)
def test_why_not(scenario: str, backend: str, why: str) -> None:
    assert why in str(why_not(SCENARIOS[scenario], resolve(backend)))


def written(text: str) -> Any:
    (scenario,) = read_scenarios(f"apiVersion: huey-harness/v1\nname: a\nasks: What?\n{text}\n".encode(), "a.yaml")
    return scenario


def test_why_not_where_nobody_says_the_topology() -> None:
    cut = written("workload: {kind: plain}\nfaults: [{kind: partition, target: consumer, at: {completed: 1%}}]")
    assert "cuts links to servers" in str(why_not(cut, resolve("sqlite")))
    assert why_not(cut, resolve("redis")) is None
    forked = written("workload: {kind: plain}\nconsumers: {worker_type: process}")
    assert "its workers are processes" in str(why_not(forked, resolve("memory")))
    assert why_not(forked, resolve("sqlite")) is None


def test_in_one_process_there_is_one_consumer() -> None:
    def consumers(backend: str) -> tuple[str, ...]:
        return draw_plan(SCENARIOS["steady"], resolve(backend), 7, runtime="local", server="valkey-9").consumers

    assert consumers("memory") == ("consumer-0",)
    assert consumers("sqlite") == ("consumer-0", "consumer-1")


def test_what_was_asked_for_by_name_and_does_not_apply_is_told(tmp_path: Path) -> None:
    options = ("--collect-only", "--huey-runtime=local", "--huey-backend=memory,sqlite")
    done = pytest_in(tmp_path, *options, "--huey-scenario=worker-crash")
    assert "worker-crash[memory] does not apply: kill would end the one process" in done.stdout
    assert "worker-crash[sqlite]" in done.stdout
    assert "does not apply" not in pytest_in(tmp_path, *options).stdout
    assert "steady.yaml::steady[memory]" in collected(tmp_path, "--huey-backend=memory")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    session = Session(Options(backends=("cysqlite",), runtime="local"))
    (backend,) = session.backends
    with pytest.raises(HarnessError, match="pip install cysqlite"):
        session.run(session.plan(SCENARIOS["steady"], backend), lambda *_: None)
    assert not (tmp_path / "reports").exists()
