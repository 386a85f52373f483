"""Malformed files as people meet them: `huey-harness lint` and pytest say where and what, and start nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from test_scenario_malformed import WRONG

from harness.cli import main
from harness.session import Session

pytest_plugins = ["pytester"]
HEAD = "apiVersion: huey-harness/v1\nname: mine\nasks: Mine?\n"
GOOD = HEAD + "workload: {kind: plain}\n"
PLACED = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): (?P<message>.+)")


def test_there_are_kinds_enough() -> None:
    assert len(WRONG) >= 100


def test_lint_places_each_of_them_and_exits_64(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the faults and workloads that are shipped: each of these files is wrong with those, too."""
    names = {f"{number:03}.yaml": name for number, name in enumerate(WRONG)}
    for file, name in names.items():
        content = WRONG[name][0]
        (tmp_path / file).write_bytes(
            content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        )
    assert main(["lint", str(tmp_path)]) == 64
    captured = capsys.readouterr()
    placed = [PLACED.fullmatch(line) for line in captured.out.splitlines()]
    assert all(placed), [line for line in captured.out.splitlines() if not PLACED.fullmatch(line)]
    told = {Path(match["file"]).name for match in placed if match}
    assert told == set(names), {names[file] for file in set(names) - told}
    assert captured.err == f"{len(placed)} problems\n"
    assert captured.out.isprintable() or not set(captured.out) & {"\x1b", "\r", "\0"}


def odd_paths(folder: Path) -> dict[str, str]:
    """Paths that are no file to read, and what is said of each."""
    (folder / "folder.yaml").mkdir()
    (folder / "dangling.yaml").symlink_to("nowhere")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(folder / "pipe.yaml")
    (folder / "in-file").write_text(GOOD)
    hostile = "a\n::error::b\x1b[31m.yaml"
    (folder / hostile).write_text("")
    return {
        "absent.yaml": "No such file or directory",
        "dangling.yaml": "No such file or directory",
        "loop.yaml": "Too many levels of symbolic links",
        "pipe.yaml": "not a regular file",
        "in-file/x.yaml": "Not a directory",
        "x" * 300 + ".yaml": "File name too long",
        hostile: "the file is empty",
        "/dev/null": "not a regular file",
    }


def test_lint_of_what_is_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = odd_paths(tmp_path)
    assert main(["lint", *said]) == 64
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(said), "each on one line, whatever the file is called"
    assert not [line for line in lines if line.startswith("::")]
    for line, words in zip(lines, said.values(), strict=True):
        assert ":1:1: " in line and words in line
        assert line.isprintable()
    assert main(["lint", "folder.yaml"]) == 64
    assert "no scenario file in folder.yaml" in capsys.readouterr().err


#: How somebody gives pytest a malformed file, and what is in it.
GIVEN = {
    "in the project's own folder": ([], "scenarios/mine.yaml", HEAD + "workload: {kind: plan}\n", "4:18"),
    "by the option": (["--huey-scenario=mine.yaml"], "mine.yaml", GOOD + "faults: {}\n", "5:9"),
    "as a path": (["mine.yaml"], "mine.yaml", GOOD + "\tfaults: []\n", "5:1"),
    "as a path and name": (["mine.yaml::mine[memory]"], "mine.yaml", GOOD + "name: mine\n", "5:1"),
    "in a folder that is named": (
        ["below"],
        "below/mine.yaml",
        HEAD + "workload: {kind: plain, tasks: .nan}\n",
        "4:32",
    ),
    "no file": (["--huey-scenario=pipe.yaml"], "other.txt", "", "1:1"),
}


@pytest.mark.parametrize(("options", "file", "content", "place"), GIVEN.values(), ids=GIVEN)
def test_pytest_exits_4(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    file: str,
    content: str,
    place: str,
) -> None:
    monkeypatch.setattr(Session, "run", None)
    path = pytester.path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    os.mkfifo(pytester.path / "pipe.yaml")
    others_off = ("-p", "no:valkey", "-p", "no:hypothesispytest")
    done = pytester.runpytest_inprocess(*others_off, "--huey-backend=memory", "--huey-runtime=local", *options)
    said = "\n".join([*done.outlines, *done.errlines])
    assert done.ret == pytest.ExitCode.USAGE_ERROR, said
    assert f"{Path(file).stem if content else 'pipe'}.yaml:{place}: " in said
    assert "Traceback" not in said
    assert not (pytester.path / "reports").exists()
