"""Follows a page of the docs: writes the files that it shows, types its commands, and compares what comes of them.

A file is a fenced block of yaml, python, … whose paragraph before it ends in its path between backquotes and a colon.
A command is a line of a `console` block that begins with `$ `; the lines behind it, up to the next one, are what must
come, in that order, with `…` for anything that differs from run to run. A command must succeed unless `$ echo $?`
follows it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 240
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PATH = re.compile(r"`([\w./-]+)`:\s*\Z")


@dataclass(frozen=True)
class File:
    """A file that the page shows."""

    path: str
    content: str


@dataclass(frozen=True)
class Command:
    """What is typed, and the lines that the page says come of it."""

    typed: str
    comes: tuple[str, ...]


def steps(page: str) -> Iterator[File | Command]:
    """What the page tells to do, in its order."""
    for block in _BLOCK.finditer(page):
        language, content = block.groups()
        path = _PATH.search(page[: block.start()])
        if language == "console":
            for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
                typed, *comes = part.splitlines()
                yield Command(typed, tuple(comes))
        elif path is not None:
            yield File(path[1], content)


def follow(page: str, folder: Path) -> list[str]:
    """Do all that, in that folder; what was typed. Raises AssertionError where something else comes of it."""
    done: list[str] = []
    code, output = 0, ""
    for step in steps(page):
        if isinstance(step, File):
            path = folder / step.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.content)
            continue
        done.append(step.typed)
        if step.typed == "echo $?":
            assert (str(code),) == step.comes, f"{done[-2]} ended with {code}"
            code = 0
            continue
        assert code == 0, f"{done[-2]} ended with {code}:\n{output}"
        ran = type_in(step.typed, folder)
        code, output = ran.returncode, ran.stdout
        assert matches(step.comes, output), f"after {step.typed!r} came:\n{output}"
    assert code == 0, f"{done[-1]} ended with {code}:\n{output}"
    return done


def type_in(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the line in a shell, with the commands of this environment first on its path."""
    names = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    names |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    # Where an engine answers too, that which starts sooner.
    names["PYTEST_ADDOPTS"] = "--huey-runtime=local"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=names,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def matches(comes: tuple[str, ...], output: str) -> bool:
    """Whether these lines stand in the output, in this order; `…` in them is anything, and so is a run of spaces."""
    rest = iter(output.splitlines())
    wanted = (line for line in comes if line.strip() != "…")
    return all(any(_like(line, found) for found in rest) for line in wanted)


def _like(line: str, found: str) -> bool:
    parts = (r"\s+".join(map(re.escape, part.split())) for part in line.split("…"))
    return re.search(r".*".join(parts), found) is not None
