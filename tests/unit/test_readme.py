"""What the README speaks of exists, and its examples are valid. What it tells to type: tests/docs/test_readme.py."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.backends import BACKENDS
from harness.evidence_tables import CLASSES, by_fault_class, by_scenario, side_by_side
from harness.scenario_file import read_scenarios

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("target", sorted({*re.findall(r"`make (\w+)`", README), "chaos"}))
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("verb", sorted(set(re.findall(r"huey-harness (check|doctor|down|lint|new|up)\b", README))))
def test_commands_exist(verb: str) -> None:
    harness = str(Path(sys.executable).with_name("huey-harness"))
    done = subprocess.run([harness, verb, "--help"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_the_scenario_is_valid() -> None:
    (scenario,) = read_scenarios(example("yaml").encode(), "README.md")
    assert scenario.name == "slow-mornings"


def test_what_was_found_can_be_seen_again() -> None:
    found = re.search(r"```yaml\n(.+?)```", (ROOT / "docs" / "found.md").read_text(), re.DOTALL)
    assert found is not None
    (scenario,) = read_scenarios(found[1].encode(), "found.md")
    assert scenario.name == "acl-restart"


def test_the_storage_can_be_imported() -> None:
    first_line = example("python").splitlines()[0]
    exec(compile(first_line, "README.md", "exec"), {})


def test_the_evidence_is_what_was_measured() -> None:
    """The tables are made from docs/evidence.json, and that by `make evidence`."""
    evidence = json.loads((ROOT / "docs" / "evidence.json").read_text())
    assert side_by_side(evidence, "local") in README
    choose = (ROOT / "docs" / "choose.md").read_text()
    assert by_fault_class(evidence, "local") in choose
    assert by_scenario(evidence, "local") in choose
    assert {one for row in evidence["rows"] for one in row["classes"]} == set(CLASSES)


def test_every_backend_was_measured() -> None:
    rows = json.loads((ROOT / "docs" / "evidence.json").read_text())["rows"]
    assert {row["backend"] for row in rows if row["runtime"] == "local"} == set(BACKENDS.names())


def test_every_backend_is_in_the_table() -> None:
    named = set(re.findall(r"`([a-z-]+)`", README[README.index("## Backends") : README.index("## What a verdict")]))
    assert {backend.name for backend in BACKENDS} <= named


def test_every_shipped_scenario_is_in_the_picture() -> None:
    for path in (ROOT / "scenarios").glob("*.yaml"):
        assert f"\n{path.stem} " in README


def example(language: str) -> str:
    found = re.search(rf"```{language}\n(.+?)```", README, re.DOTALL)
    assert found is not None
    return found[1]
