"""What README tells to type, typed: with nothing of this checkout but what is committed to it, in an empty folder.

What takes minutes is asked for what it would do: runs for what they collect, make for what it would start.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.docs.console import Command, steps, type_in

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


def test_all_of_it_can_be_typed(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(clone))
    kinds = set()
    for command in TYPED:
        program = command.split()[0]
        kinds.add(program)
        if program == "make":
            ran = type_in(f"{command} --dry-run", clone)
        elif program == "pip":
            must_be_ours(command)
            continue
        elif program == "pytest":
            ran = type_in(f"{command} --collect-only -q", tmp_path)
            assert re.search(r"^[\w/.-]+\.yaml::", ran.stdout, re.MULTILINE), ran.stdout
        else:
            ran = type_in(command, tmp_path)
        # doctor says with its exit code that something is missing on this machine, and then what to do.
        assert ran.returncode == 0 or (command.endswith("doctor") and "→" in ran.stdout), f"{command}:\n{ran.stdout}"
    assert kinds == {"make", "pip", "pytest", "huey-harness"}
    assert (tmp_path / "scenarios" / "slow-mornings.yaml").exists()


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
