"""The files of docs/ci that people copy: what judges such files takes them, and their steps do what docs/ci.md says.

The steps are run as CI runs them, by a shell; what reaches out of this machine is a stub that writes down how it was
called.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

CI = Path(__file__).parents[2] / "docs" / "ci"
#: As GitHub runs a step.
SHELL = ("/bin/bash", "-eo", "pipefail", "-c")
#: Told by a storage of a stranger's: nothing of it may be obeyed.
HOSTILE = "task 7: $(touch pwned) `touch pwned` '; touch pwned; \" @everyone\n# heading <script>"

STUB = """#!/bin/sh
{ printf '%s' "${0##*/}"; printf '\\037%s' "$@"; printf '\\036'; } >>"$STUB_LOG"
"""
#: Leaves a run with one finding that nothing covers, as pytest would, and fails as it would.
PYTEST = f"""#!{sys.executable}
import json, os, pathlib, sys
open(os.environ["STUB_LOG"], "a").write("\\x1f".join(["pytest", *sys.argv[1:]]) + "\\x1e")
said = dict(one.removeprefix("--huey-").split("=") for one in sys.argv[1:] if one.startswith("--huey-"))
reports = pathlib.Path(said.get("report", "reports"))
run = reports / "20261123T000000Z-abc"
result = run / "worker-crash" / said["backend"]
result.mkdir(parents=True, exist_ok=True)
finding = {{"anomaly": "lost", "limit": None, "summary": {HOSTILE!r}}}
covered = {{"anomaly": "duplicated", "limit": "known", "summary": "known"}}
(result / "verdict.json").write_text(json.dumps({{
    "run": run.name, "scenario": "worker-crash", "backend": said["backend"], "seed": 7, "versions": {{"huey": "3.5.4"}},
    "replay": f"pytest --huey-replay={{result}}", "checks": [{{"checker": "delivery", "findings": [finding, covered]}}],
}}))
(run / "junit.xml").write_text("<testsuites/>")
open(reports / "runs.jsonl", "a").write("{{}}\\n")
latest = reports / "latest"
latest.is_symlink() or latest.symlink_to(run.name)
sys.exit(1)
"""


class Machine:
    """A folder with a project in it, and programs of that machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.log = folder / "calls"
        self.bin.mkdir()
        self.log.write_text("")
        (self.bin / "huey-harness").symlink_to(Path(sys.executable).with_name("huey-harness"))
        for name in ("pip", "docker"):
            self.program(name, STUB)
        self.program("pytest", PYTEST)
        self.opened([])

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def opened(self, titles: list[str]) -> None:
        """Which issues are open, by both trackers."""
        listed = json.dumps([{"title": title} for title in titles])
        for name in ("gh", "glab"):
            self.program(name, f"{STUB}[ $2 = list ] && cat <<'END'\n{listed}\nEND\nexit 0\n")

    def run(self, script: str | Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        shell = [str(script), *arguments] if isinstance(script, Path) else [*SHELL, script]
        names = {
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin",
            "STUB_LOG": str(self.log),
            "HOME": str(self.folder),
        }
        return subprocess.run(
            shell, cwd=self.folder, env={**names, **env}, capture_output=True, text=True, timeout=60, check=False
        )

    def calls(self, program: str) -> list[list[str]]:
        """How a program was called: the arguments of each call, as they reached it."""
        calls = (call.split("\x1f") for call in self.log.read_text().split("\x1e") if call)
        return [call[1:] for call in calls if call[0] == program]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def must_be_told_once(created: list[list[str]], body: str) -> str:
    """One issue was opened, which says what was found and how to see it again; its title."""
    [call] = created
    title = next(one for one in call if one.startswith("--title=")).removeprefix("--title=")
    text = next(one for one in call if one.startswith(body)).removeprefix(body)
    assert title.endswith("lost in worker-crash on cluster")
    assert "    pytest --huey-replay=reports/20261123T000000Z-abc/worker-crash/cluster\n" in text
    assert "1 × lost (delivery)" in text
    assert "    task 7: $(touch pwned) `touch pwned` '; touch pwned; \" @everyone # heading <script>\n" in text
    return title


def loaded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load((CI / name).read_text())
    return found


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-workflows", CI / "github-nightly.yml"),
        ("vendor.github-workflows", CI.parents[1] / ".github" / "workflows" / "ci.yml"),
        ("vendor.gitlab-ci", CI / "gitlab-nightly.yml"),
    ],
)
def test_the_schema_of_its_system_takes_it(schema: str, file: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_night_on_github(machine: Machine) -> None:
    jobs = loaded("github-nightly.yml")["jobs"]
    steps = {step.get("name"): step for step in jobs["run"]["steps"]}
    matrix = {"BACKEND": "cluster", "SERVER": "redis-7.4", "IMAGE": "redis:7.4"}
    for _ in range(2):  # the second time the image is in the cache
        assert machine.run(steps["image"]["run"], **matrix).returncode == 0
        (machine.folder / "image.tar").write_text("")
    assert machine.calls("docker") == [
        ["pull", "redis:7.4"],
        ["save", "--output", "image.tar", "redis:7.4"],
        ["load", "--input", "image.tar"],
    ]
    assert machine.run(steps["chaos"]["run"], **matrix).returncode == 1
    assert machine.calls("pytest") == [["--huey-backend=cluster", "--huey-server=redis-7.4", "--huey-runtime=docker"]]
    # As an artifact is kept: links become copies.
    subprocess.run(["cp", "-RL", "reports", "found"], cwd=machine.folder, check=True)
    [opens] = [step for step in jobs["issues"]["steps"] if step.get("name") == "open"]
    ran = machine.run(opens["run"])
    assert ran.returncode == 0, ran.stderr
    created = [call for call in machine.calls("gh") if call[1] == "create"]
    title = must_be_told_once(created, "--body=")
    machine.opened(["something else", title])
    ran = machine.run(opens["run"])
    assert (ran.returncode, ran.stdout) == (0, f"open already: {title}\n")
    assert [call for call in machine.calls("gh") if call[1] == "create"] == created
    assert not (machine.folder / "pwned").exists()
    assert jobs["issues"]["permissions"]["issues"] == "write"
    assert "issues" not in loaded("github-nightly.yml")["permissions"]


def test_a_night_on_gitlab(machine: Machine) -> None:
    jobs = loaded("gitlab-nightly.yml")
    matrix = {"BACKEND": "cluster", "SERVER": "redis-8"}
    assert machine.run("\n".join(jobs["chaos"]["script"]), **matrix).returncode == 1
    ran = machine.run("\n".join(jobs["chaos"]["after_script"]), **matrix)
    assert ran.returncode == 0, ran.stderr
    assert (machine.folder / "found" / "cluster-redis-8" / "reports" / "runs.jsonl").exists()
    ran = machine.run("\n".join(jobs["issues"]["script"]))
    assert ran.returncode == 0, ran.stderr
    must_be_told_once([call for call in machine.calls("glab") if call[1] == "create"], "--description=")
    assert not (machine.folder / "pwned").exists()


def test_a_night_from_cron(machine: Machine) -> None:
    old, kept = (machine.folder / "reports" / name for name in ("20250101T000000Z-old", "mine"))
    for folder in (old, kept):
        folder.mkdir(parents=True)
        os.utime(folder, (0, 0))
    ran = machine.run(CI / "nightly.sh", "--huey-scale=2", BACKENDS="cluster", SERVERS="valkey-9 redis-8", TRACKER="gh")
    assert ran.returncode == 1, ran.stderr
    assert machine.calls("pytest") == [
        ["--huey-backend=cluster", f"--huey-server={server}", "--huey-report=reports", "--huey-scale=2"]
        for server in ("valkey-9", "redis-8")
    ]
    assert len([call for call in machine.calls("gh") if call[1] == "create"]) == 2, "the stub forgets what it opened"
    assert (old.exists(), kept.exists()) == (False, True)
    assert (machine.folder / "reports" / "runs.jsonl").read_text() == "{}\n{}\n"


def test_two_nights_at_once(machine: Machine) -> None:
    (machine.folder / "reports").mkdir()
    with (machine.folder / "reports" / "nightly.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ran = machine.run(CI / "nightly.sh")
    assert (ran.returncode, ran.stderr) == (75, "nightly: another one is running\n")
    assert machine.calls("pytest") == []


# ---------------------------------------------------------------- what the trackers answer


def test_without_a_tracker_they_are_only_told(machine: Machine) -> None:
    machine.run("pytest --huey-backend=cluster || true")
    ran = machine.run("huey-harness issues reports")
    assert ran.returncode == 0
    assert ran.stdout.count("lost in worker-crash on cluster") == 1
    assert machine.calls("gh") == []


@pytest.mark.parametrize(
    ("gh", "code", "said"),
    [
        ("#!/bin/sh\necho 'not logged in' >&2; exit 4\n", 69, "`gh issue list` failed: not logged in"),
        ("#!/bin/sh\necho nothing\n", 64, "did not list issues as JSON"),
        (None, 69, "there is no program gh"),
    ],
)
def test_a_tracker_that_fails(machine: Machine, gh: str | None, code: int, said: str) -> None:
    machine.run("pytest --huey-backend=cluster || true")
    machine.program("gh", gh or "")
    if gh is None:
        (machine.bin / "gh").unlink()
    # No gh of this machine's own.
    ran = machine.run("huey-harness issues reports --open-with=gh", PATH=str(machine.bin))
    assert ran.returncode == code
    assert said in ran.stderr


def test_what_is_no_verdict(machine: Machine) -> None:
    (machine.folder / "verdict.json").write_text("[]")
    ran = machine.run("huey-harness issues .")
    assert ran.returncode == 64
    assert "verdict.json is no verdict" in ran.stderr
    assert "nowhere is not a folder" in machine.run("huey-harness issues nowhere").stderr
