"""What is wrong with scenario files: one problem is one line, `file:line:column: message`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from harness.protocols import HarnessError

#: More would bury the first; the last line of the message says how many were left out.
SHOWN_MAX = 50


class Place(NamedTuple):
    """Where something stands, and in which file. Both numbers count from 1, columns in characters."""

    file: str
    line: int
    column: int


def shown_path(path: object) -> str:
    """A file's name on one line, and nothing in it that a terminal obeys."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(path))


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong, where it is, and what would be valid instead."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{shown_path(self.file)}:{self.line}:{self.column}: {self.message}"


class ScenarioErrors(HarnessError):
    """All that is wrong with one or several scenario files, in the order in which it stands there."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:SHOWN_MAX]]
        if len(self.problems) > SHOWN_MAX:
            lines.append(f"… and {len(self.problems) - SHOWN_MAX} more problems")
        super().__init__("\n".join(lines))
