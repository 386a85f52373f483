"""The fixtures for people's own tests, and docs/your-own-tests.md."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from harness.fixtures import told
from harness.protocols import HarnessError, NotApplicable, Unavailable
from tests.e2e.job import ROOT, pytest_command, run
from tests.storages.servers import eventually

GUIDE = (ROOT / "docs" / "your-own-tests.md").read_text()
COMMANDS = re.findall(r"^\$ pytest (.+)$", GUIDE, re.MULTILINE)
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
PREFIX = "tests/own/fixture_checks.py"
OUTCOMES = {
    "test_a_test_leaves_something_behind": ("FAILED", "ZeroDivisionError: in the middle"),
    "test_killing_itself": ("SKIPPED", "kill strikes a process, and the consumer of a test is a thread"),
    "test_a_toxic": ("SKIPPED", "latency needs a proxy on its link"),
    "test_a_scenario_that_kills_consumers": ("SKIPPED", "kill strikes a process"),
    "test_a_wrong_word_in_the_marker": ("ERROR", "there is no backnd. Did you mean 'backend'?"),
    "test_an_instance": ("ERROR", "instances are not made in pytest's own process"),
    "test_that_is_interrupted": ("SKIPPED", "is interrupted"),
}


@pytest.mark.cluster
@pytest.mark.world
def test_what_the_fixtures_owe(tmp_path: Path) -> None:
    job = run(pytest_command("--huey-runtime=local", PREFIX), tmp_path, {"CI": "", "COLUMNS": "200"})
    ended = dict(re.findall(rf"^{PREFIX}::(\S+) ([A-Z]+)", job.output, re.MULTILINE))
    assert len(ended) == 14, job.output
    for name, outcome in ended.items():
        expected, said = OUTCOMES.get(name, ("PASSED", ""))
        assert (name, outcome) == (name, expected), job.output
        assert said in job.output, job.output
    assert "During handling" not in job.output


@pytest.mark.cluster
@pytest.mark.world
def test_nothing_is_left_after_ctrl_c(tmp_path: Path) -> None:
    when = tmp_path / "when"
    job = subprocess.Popen(
        pytest_command("--huey-runtime=local", f"{PREFIX}::test_that_is_interrupted"),
        cwd=ROOT,
        env={**os.environ, "SAY_WHEN": str(when)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with job:
        try:
            eventually("the test is under way", lambda: when.exists() and when.read_text() != "", 60)
            job.send_signal(signal.SIGINT)
            output, _ = job.communicate(timeout=60)
        finally:
            job.kill()
    assert job.returncode == pytest.ExitCode.INTERRUPTED, output
    pid, _, root = when.read_text().partition(" ")
    assert not Path(root).exists() and not Path("/proc", pid).exists(), output


def test_what_is_missing_here_is_skipped_and_under_ci_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="under CI that is a failure: no links"), told():
        raise Unavailable("no links")
    with pytest.raises(pytest.skip.Exception, match="means nothing"), told():
        raise NotApplicable("means nothing")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="no links"), told():
        raise Unavailable("no links")
    with pytest.raises(pytest.fail.Exception, match="broken"), told():
        raise HarnessError("broken")


def test_the_guide_shows_what_there_is() -> None:
    text = (ROOT / "tests" / "own" / "shop" / "checks.py").read_text()
    assert len(BLOCKS) >= 3
    for block in BLOCKS:
        assert block.strip() in text, block


@pytest.mark.cluster
@pytest.mark.world
@pytest.mark.parametrize("line", COMMANDS)
def test_what_the_guide_says_of_a_command(tmp_path: Path, line: str) -> None:
    # ReliableSentinelHuey.close leaves its sentinels' connections to the garbage collector, which may tell after the end.
    patient = ("-W", "default::pytest.PytestUnraisableExceptionWarning")
    job = run(pytest_command(*shlex.split(line), "--huey-runtime=local", *patient), tmp_path)
    assert job.exit == 0 and "4 passed" in job.output, job.output
