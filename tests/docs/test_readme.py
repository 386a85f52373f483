"""What README tells to type, typed: with nothing of this checkout but what is committed to it, in an empty folder.

What takes minutes is asked for what it would do: runs for what they collect, all in one process since each would
import the same; make for what it would start.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.docs.console import TIMEOUT_S, Command, steps, type_in

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TYPED = tuple(dict.fromkeys(step.typed for step in steps(README) if isinstance(step, Command)))
#: A link to a place of this repository.
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that are committed, or about to be, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip(f"not a git checkout: {listed.stderr.strip()}")
    folder = tmp_path_factory.mktemp("clone")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


COLLECT = """
import json, shlex, sys
import pytest
for command in json.load(sys.stdin):
    code = pytest.main([*shlex.split(command)[1:], "--collect-only", "-q", "-p", "no:cacheprovider"])
    print(f"== {int(code)} {command}", flush=True)
"""


def test_commands_but_for_runs(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(clone))
    commands = [command for command in TYPED if not command.startswith("pytest ")]
    for command in commands:
        if command.startswith("pip "):
            must_be_ours(command)
            continue
        ran = type_in(f"{command} --dry-run", clone) if command.startswith("make ") else type_in(command, tmp_path)
        # doctor says with its exit code that something is missing on this machine, and then what to do.
        assert ran.returncode == 0 or (command.endswith("doctor") and "→" in ran.stdout), f"{command}:\n{ran.stdout}"
    assert {command.split()[0] for command in commands} == {"make", "pip", "huey-harness"}
    assert (tmp_path / "scenarios" / "slow-mornings.yaml").exists()


def test_runs(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    [own] = re.findall(r"```yaml\n(.+?)```", README, re.DOTALL)
    (tmp_path / "scenarios" / "slow-mornings.yaml").write_text(own)
    guides = [(ROOT / "docs" / name).read_text() for name in ("ci.md", "move.md")]
    typed = [step.typed for page in guides for step in steps(page) if isinstance(step, Command)]
    # A replay is of a run that only its reader has.
    commands = [one for one in (*TYPED, *typed) if one.startswith("pytest ") and "--huey-replay" not in one]
    done = subprocess.run(
        [sys.executable, "-c", COLLECT],
        input=json.dumps(commands),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(clone)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    *outputs, rest = re.split(r"^== (.*)$", done.stdout, flags=re.MULTILINE)
    assert (outputs[1::2], rest.strip()) == ([f"0 {command}" for command in commands], ""), done.stdout + done.stderr
    for output in outputs[::2]:
        assert re.search(r"^[\w/.-]+\.yaml::", output, re.MULTILINE), output


def must_be_ours(command: str) -> None:
    """What `pip install` is told to get is this project, with extras that it has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = Requirement(command.removeprefix("pip install ").strip("'"))
    assert asked.name == project["name"]
    assert asked.extras <= project["optional-dependencies"].keys()


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]), ids=lambda page: page.name
)
def test_links_lead_to_what_is_there(page: Path) -> None:
    assert [to for to in LINK.findall(page.read_text()) if not (page.parent / to).exists()] == []
