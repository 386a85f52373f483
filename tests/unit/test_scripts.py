"""The set-up scripts, as far as they can be tried without changing the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path = ROOT, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Run it with that environment besides PATH and HOME."""
    base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        command, cwd=cwd, env={**base, **env}, input=stdin, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What setup needs of a checkout, elsewhere."""
    for name in ("scripts/setup", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def stub(folder: Path, body: str) -> Path:
    """An interpreter that is none."""
    path = folder / "python3"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("body", ["exit 127", "exit 1"])
def test_setup_runs_what_it_is_given_as_an_interpreter(checkout: Path, body: str) -> None:
    done = run("scripts/setup", cwd=checkout, PYTHON=str(stub(checkout, body)))
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert "make setup PYTHON=" in done.stderr
    assert not (checkout / ".venv").exists()


def test_setup_says_what_an_interpreter_lacks(checkout: Path) -> None:
    # New enough, but without ensurepip and without pip, as Debian's own is.
    path = stub(checkout, f'case "$*" in *ensurepip*|*pip*) exit 1;; *) exec {sys.executable} "$@";; esac')
    done = run("scripts/setup", cwd=checkout, PYTHON=str(path))
    assert done.returncode == 1
    assert f"{path} cannot make an environment: it has no ensurepip" in done.stderr
    assert "python3-venv" in done.stderr
    assert not (checkout / ".venv").exists()


def test_setup_does_nothing_where_its_stamp_is_right(checkout: Path) -> None:
    environment = checkout / ".venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    wanted = run("sh", "-c", "sha256sum <pyproject.toml; pwd", cwd=checkout).stdout
    (environment / "set-up-done").write_text(wanted)
    done = run("scripts/setup", cwd=checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_engine_runs_the_command_where_the_engine_is_given() -> None:
    code = "import os, sys; print(os.environ['DOCKER_HOST'], sys.argv[1:], sys.stdin.read()); sys.exit(7)"
    host = "unix:///nonexistent/engine.sock"
    done = run(
        *("scripts/engine", "run", sys.executable, "-c", code, "a b", "$HOME"),
        stdin="given",
        DOCKER_HOST=host,
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout == f"{host} ['a b', '$HOME'] given\n"


@pytest.mark.parametrize("arguments", [[], ["run"], ["stop", "true"]])
def test_engine_says_how_it_is_used(arguments: list[str]) -> None:
    done = run("scripts/engine", *arguments)
    assert done.returncode == 64
    assert "scripts/engine run COMMAND" in done.stderr


def test_compose_is_left_alone_where_there_is_one(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\n[ "$*" = "compose version" ]\n')
    docker.chmod(0o755)
    done = run(ROOT / "scripts" / "compose", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
