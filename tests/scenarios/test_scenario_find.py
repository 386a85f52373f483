"""Which scenario files there are, and which of them a name, a glob or a path asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.protocols import HarnessError
from harness.registry import UnknownName
from harness.scenario_file import Located, ScenarioErrors, find_scenarios, locate, select, shipped_folder

CONTENT = "apiVersion: huey-harness/v1\nname: {}\nasks: What?\nworkload: {{kind: plain}}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of somebody's own, and the current folder."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "scenarios"
    own.mkdir()
    (own / "mine.yaml").write_text(CONTENT.format("mine") + "---\n" + CONTENT.format("mine-too"))
    (own / "steady.yml").write_text(CONTENT.format("steady"))
    (own / "notes.txt").write_text("not a scenario")
    (own / "scenario.schema.json").write_text("{}")
    return tmp_path


@pytest.fixture
def available(project: Path) -> list[Located]:
    return locate(find_scenarios(Path("scenarios")))


def ids(selected: list[Located]) -> list[str]:
    return [located.id for located in selected]


def test_shipped_ones_have_stable_ids_and_own_ones_follow(available: list[Located]) -> None:
    shipped = sorted(path.name for path in shipped_folder().glob("*.yaml"))
    assert "steady.yaml" in shipped
    found = ids(available)
    assert [each.partition("::")[0] for each in found[:-3]] == shipped
    assert "steady.yaml::steady" in found
    assert found[-3:] == ["scenarios/mine.yaml::mine", "scenarios/mine.yaml::mine-too", "scenarios/steady.yml::steady"]


def test_in_an_installed_wheel_the_shipped_ones_lie_among_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.scenario_file.files.resources.files", lambda package: tmp_path / package)
    with pytest.raises(HarnessError, match="missing from this installation"):
        shipped_folder()
    data = tmp_path / "harness" / "_data" / "scenarios"
    data.mkdir(parents=True)
    (data / "steady.yaml").write_text(CONTENT.format("steady"))
    assert shipped_folder() == data
    assert ids(locate(find_scenarios(None))) == ["steady.yaml::steady"]


def test_the_shipped_folder_is_not_found_twice() -> None:
    assert find_scenarios(shipped_folder()) == find_scenarios(None)


def test_a_project_without_scenarios_has_the_shipped_ones(tmp_path: Path) -> None:
    assert find_scenarios(tmp_path / "scenarios") == find_scenarios(None)


@pytest.mark.parametrize(
    ("wanted", "selected"),
    [
        (["mine"], ["scenarios/mine.yaml::mine"]),
        (["mine*"], ["scenarios/mine.yaml::mine", "scenarios/mine.yaml::mine-too"]),
        (["steady"], ["steady.yaml::steady", "scenarios/steady.yml::steady"]),
        (["steady.yaml"], ["steady.yaml::steady"]),
        (["steady.yaml::*"], ["steady.yaml::steady"]),
        (["scenarios/mine.yaml"], ["scenarios/mine.yaml::mine", "scenarios/mine.yaml::mine-too"]),
        (["scenarios/*.yml", "mine"], ["scenarios/steady.yml::steady", "scenarios/mine.yaml::mine"]),
        (["scenarios/mine.yaml::*too"], ["scenarios/mine.yaml::mine-too"]),
        (["mine", "m[i]ne", "./scenarios/mine.yaml::mine"], ["scenarios/mine.yaml::mine"]),
        (["other/x.yaml"], ["other/x.yaml::elsewhere"]),
        (["other"], ["other/x.yaml::elsewhere"]),
    ],
)
def test_select(project: Path, available: list[Located], wanted: list[str], selected: list[str]) -> None:
    other = project / "other"
    other.mkdir()
    (other / "x.yaml").write_text(CONTENT.format("elsewhere"))
    assert ids(select(wanted, available)) == selected


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("stedy", "Did you mean 'steady'?"),
        ("min", "Did you mean 'mine'?"),
        ("primary-los", "Did you mean 'primary-loss'?"),
        ("nothing-like*", "There are: "),
        ("scenarios/absent.yaml", "no scenario answers to 'scenarios/absent.yaml'"),
        ("scenarios/mine.yaml::absent", "no scenario answers to"),
        ("", "no scenario answers to ''"),
        ("a\0b", "no scenario answers to"),
    ],
)
def test_what_nothing_answers_to(available: list[Located], wanted: str, said: str) -> None:
    with pytest.raises(UnknownName) as caught:
        select(["mine", wanted], available)
    assert said in str(caught.value)


def test_a_selected_file_that_cannot_be_read_says_why(project: Path, available: list[Located]) -> None:
    (project / "broken.yaml").write_text("- a\n")
    with pytest.raises(ScenarioErrors, match=r"^broken\.yaml:1:1: "):
        select(["broken.yaml"], available)
