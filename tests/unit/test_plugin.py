"""The plugin's face: what is collected, what bad options say, and that it is not there when it is not asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Other plugins would only cost time here.
PYTEST = [
    sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:valkey", "-p", "no:hypothesispytest",
]  # fmt: skip


def pytest_in(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYTEST, *options], cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={name: value for name, value in os.environ.items() if name != "CI"},
    )  # fmt: skip


def collected(folder: Path, *options: str) -> list[str]:
    done = pytest_in(folder, "--collect-only", "-q", "--huey-runtime=local", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_scenarios_have_stable_ids_and_nothing_else_is_collected(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("def test_mine(): pass\n")
    found = collected(tmp_path, "--huey-backend=cluster")
    assert "primary-loss.yaml::primary-loss[cluster]" in found
    shipped = {path.name for path in (Path(__file__).parents[2] / "scenarios").glob("*.yaml")}
    assert {one.partition("::")[0] for one in found} <= shipped
    assert not (tmp_path / "reports").exists()


def test_only_what_applies_is_collected(tmp_path: Path) -> None:
    found = collected(tmp_path, "--huey-backend=redis,cluster-redis")
    assert "steady.yaml::steady[redis]" in found
    assert not [one for one in found if "priority-backlog" in one]
    assert "partition-minority.yaml::partition-minority[cluster-redis]" in found
    assert "partition-minority.yaml::partition-minority[redis]" not in found


def test_a_scenario_can_be_named_by_option_and_by_id(tmp_path: Path) -> None:
    assert collected(tmp_path, "--huey-backend=cluster", "--huey-scenario=steady") == ["steady.yaml::steady[cluster]"]
    assert collected(tmp_path, "--huey-backend=cluster", "steady.yaml::steady[cluster]") == [
        "steady.yaml::steady[cluster]"
    ]
    found = collected(tmp_path, "--huey-backend=cluster", "--huey-scenario=worker-*")
    assert {"worker-crash.yaml::worker-crash[cluster]", "worker-stop.yaml::worker-stop[cluster]"} < set(found)
    assert all(one.startswith("worker-") for one in found)


def test_ones_own_scenarios_are_collected_too(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "mine.yaml").write_text(
        "apiVersion: huey-harness/v1\nname: mine\nasks: Mine?\nworkload: {kind: plain, tasks: 10}\n"
    )
    found = collected(tmp_path, "--huey-backend=redis")
    assert "scenarios/mine.yaml::mine[redis]" in found
    assert "steady.yaml::steady[redis]" in found


def test_options_can_come_from_an_ini_file(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nhuey_backend = redis\nhuey_scenario = steady\n")
    assert collected(tmp_path) == ["steady.yaml::steady[redis]"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--huey-backend=clusterr"], ["unknown backend 'clusterr'", "Did you mean 'cluster'?"]),
        (["--huey-backend=cluster", "--huey-scenario=stedy"], ["stedy", "Did you mean 'steady'?"]),
        (["--huey-backend=cluster", "--huey-server=valky-9"], ["valky-9", "Did you mean 'valkey-9'?"]),
        (["--huey-backend=cluster", "--huey-runtime=podman"], ["unknown runtime 'podman'"]),
        (["--huey-backend=cluster", "--huey-seed=seven"], ["--huey-seed", "'seven'"]),
        (["--huey-backend=cluster", "--huey-seed=last"], ["no last run"]),
        (["--huey-backend=cluster", "--huey-scale=0"], ["--huey-scale"]),
        (["--huey-backend=nowhere.at.all:Class"], ["module 'nowhere.at.all' cannot be imported"]),
        (["--huey-backend=huey:RedisHuy"], ["no 'RedisHuy'", "Did you mean 'RedisHuey'?"]),
        (["--huey-backend=json:dumps"], ["not a Huey or a storage class"]),
        (["--huey-replay=."], ["is no folder of a run"]),
        (["--huey-backend=redis", "--huey-version=two"], ["--huey-version is 'two'", "2.5.5"]),
        (["--huey-backend=redis", "--huey-version=1.11.0"], ["'1.11.0'", "2.0.0 or later"]),
        (["--huey-backend=redis", "--huey-requires=--pre"], ["--huey-requires is '--pre'", "redis<7"]),
        (["--huey-backend=redis", "--huey-requires=huey==2.5.5"], ["say --huey-version=2.5.5"]),
    ],
)
def test_bad_options_end_before_anything_is_started(tmp_path: Path, options: list[str], said: list[str]) -> None:
    done = pytest_in(tmp_path, *options)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout + done.stderr
    for words in said:
        assert words in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not (tmp_path / "reports").exists()


def test_a_malformed_scenario_says_where(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "mine.yaml").write_text(
        "apiVersion: huey-harness/v1\nname: mine\nasks: Mine?\nworkload: {kind: plain, taks: 10}\n"
    )
    done = pytest_in(tmp_path, "--huey-backend=redis")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "mine.yaml:4:" in done.stderr
    assert "tasks" in done.stderr


def test_nothing_heavy_is_imported_when_it_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import sys\n"
        "def test_mine():\n"
        "    ours = {'harness', 'harness.plugin'}\n"
        "    assert not {'docker', 'redis', 'huey', 'numpy', 'pydantic', 'ruamel', 'argcomplete'} & set(sys.modules)\n"
        "    assert {name for name in sys.modules if name.split('.')[0] == 'harness'} == ours\n"
    )
    done = pytest_in(tmp_path, "-q")
    assert done.returncode == 0, done.stdout
    assert "huey" not in done.stdout
