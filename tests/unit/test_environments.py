"""Interpreters of agents: what is asked for, what pip is told and refuses, and that a build leaves nothing half."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import environments
from harness.environments import Environment
from harness.protocols import HarnessError, Unavailable
from harness.session import Options, Session
from harness.stage import projects_on

WANTED = ("huey==2.5.5", "redis==8.1.0")
#: As pip says it, shortened.
NO_VERSION = """\
ERROR: Could not find a version that satisfies the requirement huey==2.5.9 (from versions: 2.4.0, 2.5.4, 2.5.5, 3.0.1)
ERROR: No matching distribution found for huey==2.5.9
"""
NO_PACKAGE = """\
ERROR: Could not find a version that satisfies the requirement huy (from versions: none)
ERROR: No matching distribution found for huy
"""
NO_NETWORK = """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': refused')': /simple/huey/
ERROR: Could not find a version that satisfies the requirement huey==2.5.5 (from versions: none)
ERROR: No matching distribution found for huey==2.5.5
"""
CONFLICT = """\
Collecting redis<4
ERROR: Cannot install redis<4 and redis-py-cluster because these package versions have conflicting dependencies.
[notice] A new release of pip is available
"""


# ---------------------------------------------------------------- what is asked for


def test_what_nobody_names_is_what_is_installed_here() -> None:
    installed = {name: importlib.metadata.version(name) for name in ("huey", "redis")}
    assert environments.requirements(None, (), ()) == ()
    assert environments.requirements("2.5.5", (), ()) == ("huey==2.5.5", f"redis=={installed['redis']}")
    assert environments.requirements(None, (), (), "psycopg[binary]>=3.2") == ()
    further = environments.requirements("2.5.5", (), (), "psycopg[binary]>=3.2")
    assert [one.partition("=")[0].partition(">")[0] for one in further] == ["huey", "psycopg[binary]", "redis"]
    assert environments.requirements(None, ["redis<7"], ()) == (f"huey=={installed['huey']}", "redis<7")


def test_options_have_the_last_word_on_what_a_backend_needs() -> None:
    own = ("huey==2.3.0", "redis<4", "Django>=4.2")
    assert environments.requirements(None, (), own) == ("Django>=4.2", "huey==2.3.0", "redis<4")
    assert environments.requirements("2.5.5", ["django<6"], own) == ("django<6", "huey==2.5.5", "redis<4")


@pytest.mark.parametrize("version", ["2.0.1", "3.0.1", "3.1.0rc1"])
def test_versions_that_may_be_asked_for(version: str) -> None:
    assert environments.check_version(version) == version


@pytest.mark.parametrize("version", ["two", "", "==2.5.5", "2.5.5 --pre", "1.11.0"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(HarnessError, match="--huey-version is") as refused:
        environments.check_version(version)
    assert repr(version) in str(refused.value)


@pytest.mark.parametrize("text", ["--index-url=http://elsewhere", "-e .", "./here", "", "redis<", "redis\nhuey"])
def test_what_is_no_requirement_is_refused(text: str) -> None:
    with pytest.raises(HarnessError, match="no requirement"):
        environments.check_requirement(text)


def test_huey_has_an_option_of_its_own() -> None:
    with pytest.raises(HarnessError, match=r"say --huey-version=2\.5\.5"):
        environments.check_requirement("Huey==2.5.5")


def test_the_digest_is_of_what_is_in_it() -> None:
    assert environments.digest(WANTED) == environments.digest(WANTED[::-1])
    assert environments.digest(WANTED) != environments.digest(("huey==2.5.4", WANTED[1]))


# ---------------------------------------------------------------- what pip refuses


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (NO_VERSION, HarnessError, "nothing for 'huey==2.5.9'. Did you mean '2.5.5'? There are: 2.4.0, 2.5.4"),
        (NO_PACKAGE, HarnessError, "no package for 'huy'"),
        (NO_NETWORK, Unavailable, "reaches no index"),
        (CONFLICT, HarnessError, "conflicting dependencies."),
    ],
)
def test_a_refusal_is_told_in_pips_last_words(said: str, kind: type[HarnessError], words: str) -> None:
    refusal = environments._refused(WANTED, said)
    assert type(refusal) is kind
    assert words in str(refusal)


# ---------------------------------------------------------------- building


class Commands:
    """Stands in for what is run: notes the command lines, makes what venv would."""

    def __init__(self, status: int = 0, said: str = "") -> None:
        self.status, self.said = status, said
        self.lines: list[list[str]] = []

    def __call__(self, command: Sequence[Any], timeout_s: float, what: str, lock: int | None = None) -> tuple[int, str]:
        line = [str(one) for one in command]
        self.lines.append(line)
        assert timeout_s > 0 and what
        if "venv" in line:
            (Path(line[-1]) / "bin").mkdir()
        if "-c" in line:
            return 0, json.dumps({"versions": {"huey": "2.5.5", "redis": "8.1.0"}, "classes": [], "consumer": []})
        return (self.status, self.said) if "pip" in line else (0, "")

    def of(self, module: str) -> list[list[str]]:
        """The command lines of one module."""
        return [line for line in self.lines if module in line]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    stand_in = Commands()
    monkeypatch.setattr(environments, "_run", stand_in)
    return stand_in


def folders(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.is_dir())


def test_one_is_built_once_and_checked_each_time(tmp_path: Path, commands: Commands) -> None:
    found = environments._get(WANTED, tmp_path)
    assert found.python == tmp_path / environments.digest(WANTED) / "bin" / "python"
    assert found.versions["redis-py"] == "8.1.0"
    (pip,) = commands.of("pip")
    assert pip[pip.index("--") + 1 :] == list(WANTED)
    assert environments._get(WANTED, tmp_path) == found
    assert len(commands.of("pip")) == 1 and len(commands.of("-c")) == 2
    assert folders(tmp_path) == [environments.digest(WANTED)]


def test_what_an_interrupted_build_left_is_removed(tmp_path: Path, commands: Commands) -> None:
    (tmp_path / f".{environments.digest(WANTED)}-left" / "bin").mkdir(parents=True)
    environments._get(WANTED, tmp_path)
    assert folders(tmp_path) == [environments.digest(WANTED)]


def test_a_failed_build_leaves_nothing(tmp_path: Path, commands: Commands) -> None:
    commands.status, commands.said = 1, NO_VERSION
    with pytest.raises(HarnessError, match="nothing for"):
        environments._get(WANTED, tmp_path)
    assert folders(tmp_path) == []


def test_an_interruption_leaves_nothing(tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(environments, "_make_venv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        environments._get(WANTED, tmp_path)
    assert folders(tmp_path) == []


def test_one_that_broke_is_built_anew(tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    environments._get(WANTED, tmp_path)
    checked, broken = environments._checked, [True]

    def once_broken(*args: Any) -> Environment:
        if broken.pop():
            broken.append(False)
            raise HarnessError("its Python was removed")
        return checked(*args)

    monkeypatch.setattr(environments, "_checked", once_broken)
    environments._get(WANTED, tmp_path)
    assert len(commands.of("pip")) == 2


def test_who_comes_second_waits_no_longer_than_told(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "LOCK_TIMEOUT_S", 0.1)
    with (tmp_path / f"{environments.digest(WANTED)}.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(HarnessError, match=r"another process still builds the environment of huey==2\.5\.5"):
            environments._get(WANTED, tmp_path)
    assert not commands.lines


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HarnessError, match="XDG_CACHE_HOME"):
        environments._get(WANTED, tmp_path / "file")


def test_what_takes_too_long_is_ended_with_all_that_it_started() -> None:
    begun = time.monotonic()
    with pytest.raises(HarnessError, match="waited 0 s for the moon"):
        environments._run([sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '60'])"], 0.4, "the moon")
    # What it says is read to the end: while anybody holds the other end of the pipe, that does not come.
    assert time.monotonic() - begun < 30


def test_refusals_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(wanted: tuple[str, ...], cache: Path) -> Environment:
        asked.append(wanted)
        raise Unavailable("no index")

    monkeypatch.setattr(environments, "_get", refuse)
    monkeypatch.setattr(environments, "_got", {})
    for _ in range(2):
        with pytest.raises(Unavailable):
            environments.get(WANTED)
    assert asked == [WANTED]


# ---------------------------------------------------------------- what a session makes of it


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments without building any: their consumers know no shutdown_timeout, and there is no RedisExpireHuey."""

    def get(wanted: tuple[str, ...]) -> Environment:
        options = frozenset({"workers", "worker_type", "periodic", "health_check_interval"})
        classes = frozenset({"RedisHuey", "PriorityRedisHuey"})
        versions = {"huey": wanted[0].removeprefix("huey=="), "redis-py": "8.1.0"}
        return Environment(wanted, Path(sys.executable), versions, classes, options)

    monkeypatch.setattr(environments, "get", get)


def test_each_version_is_a_run_of_its_own(known: None) -> None:
    session = Session(Options(("redis",), runtime="local", versions=("2.5.5", "3.0.1", "2.5.5"), seed="7"))
    assert session.versions == ("2.5.5", "3.0.1")
    assert session.header_versions()["huey"] == "2.5.5 and 3.0.1"
    (backend,) = session.backends
    scenarios = {one.scenario.name: one.scenario for one in session.selected}
    plans = [session.plan(scenarios["steady"], backend, version) for version in session.versions]
    assert [plan.name for plan in plans] == ["redis-2.5.5", "redis-3.0.1"]
    assert plans[0].requires[0] == "huey==2.5.5"
    assert plans[0].producers == plans[1].producers
    assert "shutdown_timeout" in (session.why_not(scenarios["impatient-stop"], backend, "2.5.5") or "")
    assert session.why_not(scenarios["worker-crash"], backend, "2.5.5") is None


def test_a_class_that_a_version_lacks_is_told(known: None) -> None:
    with pytest.raises(HarnessError, match=r"needs RedisExpireHuey, which Huey 2\.5\.5 does not have"):
        Session(Options(("huey:RedisExpireHuey",), runtime="local", versions=("2.5.5",)))


def test_without_these_options_the_interpreter_is_this_one() -> None:
    session = Session(Options(("redis",), runtime="local"))
    plan = session.plan(session.selected[0].scenario, session.backends[0])
    assert (session.versions, plan.requires, plan.name) == ((None,), (), "redis")


# ---------------------------------------------------------------- what another interpreter finds


def test_another_interpreter_gets_projects_and_nothing_that_is_installed_here(tmp_path: Path) -> None:
    installed = [sysconfig.get_path(name) for name in ("purelib", "stdlib", "platstdlib")]
    assert projects_on([*installed, "", str(tmp_path), str(tmp_path / "gone")]) == [str(tmp_path)]


def test_agents_import_nothing_but_huey_and_redis() -> None:
    heavy = ("numpy", "pydantic", "docker", "pytest", "ruamel", "packaging", "django")
    modules = ", ".join(f"harness.agents.{name}" for name in ("consumer", "producer", "drain"))
    workloads = "harness.workloads.plain, harness.workloads.delays, harness.workloads.priorities"
    code = f"import {modules}, {workloads}, sys; print(sorted({{*{heavy!r}}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"
