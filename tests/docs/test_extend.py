"""docs/extend.md, followed to the letter: a distribution of somebody's own registers one of each."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.docs.console import File, follow, steps

PAGE = (Path(__file__).parents[2] / "docs" / "extend.md").read_text()


@pytest.mark.cluster
@pytest.mark.world
def test_a_distribution_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [project] = [step.content for step in steps(PAGE) if isinstance(step, File) and step.path == "pyproject.toml"]
    install(tomllib.loads(project)["project"], tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    follow(PAGE, tmp_path)
    [path] = (tmp_path / "reports").glob("*Z-*/napping/outbox/verdict.json")
    verdict = json.loads(path.read_text())
    assert "promptness" in {check["checker"] for check in verdict["checks"]}
    assert [fault["kind"] for fault in verdict["faults"]] == ["nap"]
    assert verdict["counts"]["completed"] == 300


def install(project: dict[str, object], folder: Path) -> None:
    """What pip would leave of it beside its modules, which the page writes."""
    info = folder / f"{str(project['name']).replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"]
    assert isinstance(groups, dict)
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in points.items()) for group, points in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
