"""Files that are as they should be: what they come out as."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.scenario import Scenario, ScenarioBase
from harness.scenario_file import ScenarioErrors, load, load_all, read_scenarios

Read = Callable[[str], list[Scenario]]

HEAD = "apiVersion: huey-harness/v1\nname: one\nasks: What?\n"
SHORT = HEAD + "workload: {kind: plain}\n"


def workload(read: Read, fields: str) -> object:
    [scenario] = read(HEAD + f"workload: {{kind: plain, {fields}}}\n")
    return scenario.workload


def test_what_is_left_out_has_its_default(read: Read) -> None:
    [scenario] = read(SHORT)
    assert scenario.name == "one"
    assert scenario.faults == []
    assert scenario.topologies is None
    assert scenario.topology.primaries == 3
    assert scenario.consumers.workers == 4
    assert scenario.liveness.drain == 30.0
    assert scenario.workload.tasks == 2000


def test_faults_come_out_as_their_own_models_in_the_order_of_the_file(read: Read) -> None:
    [scenario] = read(
        SHORT + "faults:\n"
        "- {kind: cut-off, target: minority, from: clients, at: {elapsed: 1.5s}}\n"
        "- {kind: kill, target: consumer, at: {completed: 12.5%}, for: 500ms, again: false}\n"
    )
    cut, kill = scenario.faults
    assert (cut.kind, cut.target, cut.from_, cut.at.elapsed, cut.for_) == ("cut-off", "minority", "clients", 1.5, 3.0)
    assert (kill.kind, kill.at.completed, kill.for_, kill.again) == ("kill", 0.125, 0.5, False)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("0", 0), ("0ms", 0), ("500ms", 0.5), ("3s", 3), ("3 s", 3), ("1.5min", 90), ("2m", 120), ("1h", 3600),
        ("'3s'", 3), ("\"3s\"", 3), ("3600s", 3600),
    ],
)  # fmt: skip
def test_durations(read: Read, written: str, seconds: float) -> None:
    [scenario] = read(SHORT + f"liveness: {{recovery: {written}}}\n")
    assert scenario.liveness.recovery == seconds


@pytest.mark.parametrize(
    ("written", "value"),
    [("2000", 2000), ("+7", 7), ("0o17", 15), ("0x1f", 31), ("0x1F", 31)],
)
def test_whole_numbers_are_those_of_yaml_1_2(read: Read, written: str, value: int) -> None:
    assert workload(read, f"tasks: {written}").tasks == value  # type: ignore[attr-defined]


def test_words_that_yaml_1_1_took_for_truths_are_text(read: Read) -> None:
    [scenario] = read(
        "apiVersion: huey-harness/v1\nname: on\nasks: no\nworkload: {kind: plain}\n"
        "topology: {settings: {appendonly: no, save: '', hz: 10, time: 3:30, zeros: 007, y: n}}\n"
    )
    assert (scenario.name, scenario.asks) == ("on", "no")
    assert scenario.topology.settings == {
        "appendonly": "no", "save": "", "hz": 10, "time": "3:30", "zeros": "007", "y": "n",
    }  # fmt: skip


def test_null_is_no_limit_where_a_field_says_so(read: Read) -> None:
    assert workload(read, "rate: null").rate is None  # type: ignore[attr-defined]
    assert workload(read, "rate: ~").rate is None  # type: ignore[attr-defined]


def test_several_documents_are_several_scenarios(read: Read) -> None:
    content = "---\n" + SHORT + "---\n# the second\n" + SHORT.replace("one", "two") + "...\n"
    assert [scenario.name for scenario in read(content)] == ["one", "two"]


def test_an_alias_stands_for_what_its_anchor_marks(read: Read) -> None:
    [scenario] = read(
        SHORT + "faults:\n"
        "- {kind: kill, target: consumer, at: &when {elapsed: 1s}}\n"
        "- {kind: kill, target: &whom primary-of-queue, at: *when}\n"
        "- {kind: kill, target: *whom, at: *when}\n"
    )
    assert [fault.at.elapsed for fault in scenario.faults] == [1.0, 1.0, 1.0]
    assert [fault.target for fault in scenario.faults] == ["consumer", "primary-of-queue", "primary-of-queue"]


def test_the_shapes_of_text(read: Read) -> None:
    for written in ("'What?'", '"What?"', "|-\n  What?", ">-\n  What?", "What?  # really", '"Wh\\x61t?"'):
        assert read(SHORT.replace("What?", written))[0].asks == "What?", written
    assert read(SHORT.replace("What?", "Quoi ?\N{NO-BREAK SPACE}\N{GRINNING FACE}"))[0].asks.endswith(
        "\N{GRINNING FACE}"
    )


def test_a_stored_scenario_reads_back_as_it_was(read: Read, model: type[ScenarioBase]) -> None:
    [scenario] = read(
        HEAD + "workload: {kind: plain, takes: [0.1ms, 1.7ms]}\n"
        "faults:\n"
        "- {kind: cut-off, target: minority, from: clients, at: {acknowledged: 7.3%}, for: 0.123456min}\n"
        "- {kind: kill, target: consumer, at: {completed: 100%}, for: 0}\n"
    )
    stored = scenario.model_dump(mode="json", by_alias=True)
    again = model.model_validate(stored)
    assert again == scenario
    assert again.model_dump(mode="json", by_alias=True) == stored


def test_the_largest_file(read: Read) -> None:
    filler = "#" * (256 * 1024 - len(SHORT) - 1) + "\n"
    assert len(read(SHORT + filler)) == 1
    with pytest.raises(ScenarioErrors):
        read(SHORT + "#" + filler)


# ---------------------------------------------------------------- files


def test_a_file_is_named_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("name: [\n")
    with pytest.raises(ScenarioErrors, match=r"^a\.yaml:1:7: "):
        load(Path("a.yaml"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "this is a folder, not a file"),
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    ],
    ids=["missing", "folder", "pipe", "loop", "device"],
)
def test_what_is_no_file_is_said_to_be_none(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    path = tmp_path / "a.yaml"
    make(path)
    with pytest.raises(ScenarioErrors) as caught:
        load(path)
    [problem] = caught.value.problems
    assert (problem.file, problem.line, problem.column) == (str(path), 1, 1)
    assert said in problem.message


def test_a_path_that_cannot_be() -> None:
    with pytest.raises(ScenarioErrors, match="cannot be read"):
        load(Path("a\0b"))


def test_the_problems_of_several_files_come_together(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml")]
    paths[0].write_text("- a\n")
    paths[1].write_text("")
    with pytest.raises(ScenarioErrors) as caught:
        load_all(paths)
    assert [Path(problem.file).name for problem in caught.value.problems] == ["a.yaml", "b.yaml", "c.yaml"]


def test_nothing_is_constructed_that_a_tag_names(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    content = f"a: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{witness}']]\n"
    with pytest.raises(ScenarioErrors):
        read_scenarios(content.encode(), "s.yaml")
    assert not witness.exists()
