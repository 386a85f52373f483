"""What pytest shows of scenarios, on a terminal and off it, under the options that people give it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.closing import MARKUP
from harness.session import Session
from tests.unit import judged

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
OTHERS_OFF = ("-p", "no:valkey", "-p", "no:hypothesispytest")
STEADY = ("--huey-runtime=local", "--huey-scenario=steady")
#: Runs come in this order: those that share a topology together.
ALL = "--huey-backend=memory,blackhole,sqlite,file"
VARIABLES = ("CI", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "PYTEST_ADDOPTS", "COLUMNS")


class Piped:
    """pytest as a CI service runs it, in this process."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester, self._patch = pytester, monkeypatch
        self.folder = pytester.path
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(Session, "run", judged.run)

    def __call__(self, *options: str, **variables: str) -> tuple[int, str]:
        with self._patch.context() as patched:
            for name, value in variables.items():
                patched.setenv(name, value)
            done = self._pytester.runpytest_inprocess(*OTHERS_OFF, *STEADY, *options)
        return int(done.ret), "".join(f"{line}\n" for line in [*done.outlines, *done.errlines])


@pytest.fixture
def piped(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Piped:
    return Piped(pytester, monkeypatch)


def on_a_terminal(folder: Path, *options: str, **more: str) -> str:
    """As a person runs it: all that was written to his terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "tests.unit.judged", *OTHERS_OFF, *STEADY, *options],
        cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs,
        env={
            **{name: value for name, value in os.environ.items() if name not in VARIABLES},
            "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100", **more,
        },
    )  # fmt: skip
    os.close(theirs)
    written = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # how Linux says that nobody has it open any more
            break
        if not chunk:
            break
        written += chunk
    os.close(ours)
    process.wait(60)
    return written.decode()


def screen(written: str) -> list[str]:
    """The lines that are left to be seen: of a terminal's commands it knows those that are used here."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", written):
        if part == "\n":
            row, column = row + 1, column
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part.startswith("\x1b["):
            number = int(re.sub(r"\D", "", part) or 1)
            if part.endswith("A"):
                row -= number
            elif part.endswith("C"):
                column += number
            elif part.endswith("K"):
                assert part == "\x1b[2K"
                lines[row] = ""
            else:
                assert part.endswith("m"), part
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]


def test_on_a_terminal_there_is_a_living_line_and_it_leaves_no_trace(tmp_path: Path) -> None:
    written = on_a_terminal(tmp_path, ALL, "-v")
    assert "steady.yaml::steady[sqlite]  working, kill consumer-1: 120/240 enqueued, 100 completed" in written
    seen = screen(written)
    told = {line.split()[0]: line for line in seen if line.startswith("steady.yaml::")}
    for backend, word, share in (("memory", "PASSED", " 25"), ("sqlite", "FAILED", " 75"), ("file", "FAILED", "100")):
        line = told[f"steady.yaml::steady[{backend}]"]
        assert re.fullmatch(rf"\S+ {word} +\[{share}%\]", line) and len(line) == 99, line
    assert told["steady.yaml::steady[blackhole]"].split()[1] == "XFAIL"
    assert not [line for line in seen if "working" in line]
    for verdict in ("\x1b[32m✔ valid", "\x1b[33m≈ known limits", "\x1b[35m? unknown", "\x1b[1m✘ invalid"):
        assert verdict in written, verdict


def test_no_color_is_honoured_on_a_terminal(tmp_path: Path) -> None:
    written = on_a_terminal(tmp_path, ALL, NO_COLOR="1")
    assert "120/240 enqueued" in written
    assert not re.search(r"\x1b\[[0-9;]*m", written)
    seen = screen(written)
    assert "steady.yaml .xFF" in "".join(seen)
    assert next(line.split()[2:4] for line in seen if line.startswith("steady ")) == ["✔", "valid"]


def test_a_terminal_that_cannot_move_its_cursor_is_told_plainly(tmp_path: Path) -> None:
    assert "\x1b" not in on_a_terminal(tmp_path, "--huey-backend=memory", "-v", TERM="dumb")


def test_off_a_terminal_it_is_plain(piped: Piped) -> None:
    code, output = piped(ALL)
    assert code == 1
    assert "steady.yaml .xFF" in output and "\x1b" not in output and "working" not in output
    assert "memory     ✔ valid           240     0    0    0         –" in output
    assert "report: reports/" in output


def test_verbose_a_phase_is_a_line_and_so_is_the_outcome(piped: Piped) -> None:
    _, output = piped("--huey-backend=memory", "-v")
    assert (
        "steady.yaml::steady[memory] \n  topology\n  working, kill consumer-1: 120/240 enqueued, 100 completed\n"
        "  judging\n  PASSED "
    ) in output


def test_colour_where_it_is_asked_for(piped: Piped) -> None:
    _, output = piped(ALL, FORCE_COLOR="1")
    assert "\x1b[32m✔ valid" in output
    assert not re.search(r"\x1b\[[0-9;]*[KAC]", output)  # no cursor to move
    assert set(MARKUP) == {"head", "rule", "valid", "limits", "unknown", "invalid"}


def test_quiet(piped: Piped) -> None:
    _, quiet = piped(ALL, "-q")
    assert "✘ invalid" in quiet and "working" not in quiet
    _, silent = piped("--huey-backend=memory", "-qq")
    assert [line for line in silent.splitlines() if line][1:] and "✔" not in silent and "report: " in silent


def test_selection_and_stopping(piped: Piped) -> None:
    code, output = piped(ALL, "-x")
    assert code == 1 and "stopping after 1 failures" in output and "steady    file" not in output
    code, output = piped(ALL, "--lf", "-v")
    assert code == 1 and "1 failed, 3 deselected" in output
    code, output = piped(ALL, "-k", "memory or blackhole", "--strict-markers")
    assert code == 0 and "1 passed, 2 deselected, 1 xfailed" in output
    code, output = piped(ALL, "-k", "blackhole", "--huey-strict", "-p", "no:terminal")
    assert code == 1 and output == ""


def test_collect_only_runs_nothing(piped: Piped) -> None:
    code, output = piped(ALL, "--collect-only")
    assert code == 0 and "<ScenarioItem steady[file]>" in output
    assert "4 tests collected" in output and not (piped.folder / "reports").exists()


def test_a_replay_is_collected_as_anything_else_is(piped: Piped) -> None:
    piped("--huey-backend=memory,blackhole")
    code, output = piped("--huey-replay=reports/latest", "--collect-only", "-q")
    assert code == 0 and "replay::steady[blackhole]\nreplay::steady[memory]\n" in output
    assert "2 tests collected" in output
    _, output = piped("--huey-replay=reports/latest", "-k", "memory")
    assert "collected 2 items / 1 deselected / 1 selected" in output and "1 passed, 1 deselected" in output


def test_two_workers_tell_all_once(piped: Piped) -> None:
    summary = piped.folder / "summary.md"
    code, output = piped(
        f"{ALL},cysqlite", "-n", "2", "-p", "tests.unit.judged",
        GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary), PYTHONPATH=str(ROOT),
    )  # fmt: skip
    assert code == 1
    assert [line.split()[1] for line in output.splitlines() if re.match(r"steady  ", line)] == [
        "blackhole", "file", "memory", "sqlite",
    ]  # fmt: skip
    commands = [line for line in output.splitlines() if line.lstrip().startswith("::") or "##[" in line]
    assert sorted(line.partition("title=")[2].partition("::")[0] for line in commands) == [
        "huey-harness%3A known limits",
        "steady[cysqlite]%3A not run",
        "steady[file]%3A unknown",
        "steady[sqlite]%3A invalid",
    ]
    assert "\x1b" not in output
    text = summary.read_text()
    assert text.count("## huey-harness: ") == 1 and text.count("\n| steady | ") == 4
    (junit,) = piped.folder.glob("reports/2*/junit.xml")
    assert junit.read_text().count("<testcase ") == 5


@pytest.mark.parametrize("actions", ["true", ""])
def test_annotations_are_for_github_alone(piped: Piped, actions: str) -> None:
    _, output = piped("--huey-backend=sqlite", GITHUB_ACTIONS=actions)
    assert ("\n::error title=steady[sqlite]%3A invalid::" in output) is bool(actions)
    assert not [line for line in output.splitlines() if line.lstrip().startswith("::") and "title=" not in line]
