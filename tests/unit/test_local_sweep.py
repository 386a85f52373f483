"""The folders of runs: whose they are, and which are removed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.protocols import HarnessError
from harness.runtimes import sweep


@pytest.fixture
def parent() -> Iterator[Path]:
    """A short path, as Unix sockets need it."""
    folder = Path(tempfile.mkdtemp(prefix="hh-", dir="/tmp"))
    yield folder / "runs"
    shutil.rmtree(folder)


def make_elsewhere(parent: Path) -> Path:
    """A root whose owner has ended."""
    code = """
import sys
from pathlib import Path
from harness.runtimes.sweep import make_root
print(make_root(Path(sys.argv[1])))
"""
    done = subprocess.run([sys.executable, "-c", code, parent], check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


def test_a_root_is_private_and_says_whose_it_is(parent: Path) -> None:
    root = sweep.make_root(parent)
    assert root.parent == parent
    assert root.stat().st_mode & 0o777 == 0o700
    assert parent.stat().st_mode & 0o777 == 0o700
    marker = json.loads((root / "run.json").read_text())
    assert marker["label"] == root.name
    assert marker["pid"] == os.getpid()
    assert marker["start_time"] > 0
    assert sweep.make_root(parent) != root
    assert sweep.make_root(parent, label="given").name == "given"


def test_the_default_is_short_enough_for_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    root = sweep.make_root()
    assert root.parent == Path(f"/tmp/huey-harness-{os.getuid()}")
    assert len(str(root)) < 50
    shutil.rmtree(root)


def test_what_the_dead_left_is_removed_and_nothing_else(parent: Path) -> None:
    mine = sweep.make_root(parent)
    dead = make_elsewhere(parent)
    (dead / "node-1").mkdir()
    (dead / "node-1" / "log.txt").write_text("x")
    (dead / "elsewhere").symlink_to(mine)
    (parent / "notes").mkdir()
    (parent / "notes" / "kept").write_text("x")
    (parent / "link").symlink_to(mine)
    assert sweep.sweep_local(parent) == [dead.name]
    assert not dead.exists()
    assert (mine / "run.json").exists()
    assert (parent / "notes" / "kept").exists()
    assert sweep.sweep_local(parent) == []


def test_a_number_that_was_given_again_is_not_the_owner(parent: Path) -> None:
    root = sweep.make_root(parent)
    marker = json.loads((root / "run.json").read_text())
    (root / "run.json").write_text(json.dumps({**marker, "start_time": marker["start_time"] - 1}))
    assert sweep.sweep_local(parent) == [root.name]


def test_a_run_of_another_pid_namespace_is_left_alone(parent: Path) -> None:
    root = make_elsewhere(parent)
    marker = json.loads((root / "run.json").read_text())
    (root / "run.json").write_text(json.dumps({**marker, "pid_namespace": "pid:[1]"}))
    assert sweep.sweep_local(parent) == []
    assert root.exists()


def test_what_was_never_finished_goes_when_it_is_old(parent: Path) -> None:
    sweep.make_root(parent)
    fresh, old = parent / ".new-a", parent / ".new-b"
    fresh.mkdir()
    old.mkdir()
    os.utime(old, (0, 0))
    assert sweep.sweep_local(parent) == []
    assert fresh.exists()
    assert not old.exists()


def test_no_runs_no_sweep(parent: Path) -> None:
    assert sweep.sweep_local(parent / "missing") == []


def test_a_parent_that_others_can_write_to_is_refused(parent: Path) -> None:
    parent.mkdir()
    parent.chmod(0o777)
    for call in (sweep.make_root, sweep.sweep_local):
        with pytest.raises(HarnessError, match="only you can write to"):
            call(parent)


def test_a_parent_that_is_a_link_is_refused(parent: Path) -> None:
    real = parent.parent / "real"
    real.mkdir(mode=0o700)
    parent.symlink_to(real)
    with pytest.raises(HarnessError, match="only you can write to"):
        sweep.make_root(parent)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_parent_of_somebody_else_is_refused(parent: Path) -> None:
    parent.mkdir(mode=0o700)
    os.chown(parent, 65534, 65534)
    with pytest.raises(HarnessError, match="user 65534"):
        sweep.make_root(parent)


def test_a_parent_that_is_too_deep_is_refused(parent: Path) -> None:
    with pytest.raises(HarnessError, match="too long for Unix sockets"):
        sweep.make_root(parent / ("x" * 60))
    assert not parent.exists()
