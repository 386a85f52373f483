"""Completion, as a shell asks for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli import ROOMS, SHELLS
from harness.completion import COMPLETERS
from harness.listing import ROOMS as LISTED
from harness.scenario_file import find_scenarios, load

BIN = Path(sys.executable).parent


def answers(folder: Path, line: str) -> list[str]:
    """What the program of that line offers for its end, by argcomplete's protocol."""
    told = folder / "told"
    asked = {
        "_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": "bash", "_ARGCOMPLETE_COMP_WORDBREAKS": " \t\n\"'><;|&(:=",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(told), "COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9",
        "_ARGCOMPLETE_IFS": "\013",
    }  # fmt: skip
    program, *_ = line.split()
    subprocess.run([BIN / program], cwd=folder, env=os.environ | asked, timeout=60, check=False, capture_output=True)
    return sorted(word.strip() for word in told.read_text().split("\013"))


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("huey-harness list f", ["faults"]),
        ("huey-harness up cluster --huey-server=red", ["redis-6.2", "redis-7.0", "redis-7.4", "redis-8"]),
        ("pytest --huey-backend=memory,sq", ["memory,sqlite"]),
        ("pytest --huey-scenario prim", ["primary-loss", "primary-pause", "primary-restart"]),
    ],
)
def test_names_are_offered(tmp_path: Path, line: str, offered: list[str]) -> None:
    assert answers(tmp_path, line) == offered


def test_what_is_offered_is_there() -> None:
    assert tuple(LISTED) == ROOMS
    assert set(COMPLETERS["--huey-scenario"]()) == {one.name for path in find_scenarios(None) for one in load(path)}
    assert "all" in COMPLETERS["--huey-backend"](prefix="")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shells_script(run: Callable[..., Any], shell: str) -> None:
    ran = run("completion", shell)
    assert ran.code == 0
    assert "huey-harness" in ran.out and "pytest" not in ran.out
    assert "pytest" in run("completion", shell, "--pytest").out
    program = shutil.which(shell)
    if program:
        checked = subprocess.run(
            [program, "-n"], input=ran.out, text=True, capture_output=True, timeout=60, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")


def test_another_shell(run: Callable[..., Any]) -> None:
    ran = run("completion", "fsh")
    assert ran.code == 64 and "Did you mean 'fish'?" in ran.err
