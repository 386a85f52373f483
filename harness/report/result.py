"""What the terminal, JUnit, GitHub and the trend need of one result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def backend_name(verdict: Mapping[str, Any], otherwise: str) -> str:
    """The backend of a verdict as reports call it: with the version of Huey where one was asked for."""
    name = str(verdict.get("backend") or otherwise)
    version = verdict.get("huey_version")
    return f"{name}-{version}" if version else name


@dataclass(frozen=True)
class Broken:
    """A test that failed before there was anything to judge: its name, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Result:
    """One scenario on one backend: its verdict.json, how long it took, and `terminal.failure_text` where it failed."""

    verdict: Mapping[str, Any]
    seconds: float = 0.0
    story: str = ""

    @property
    def scenario(self) -> str:
        """The scenario's name."""
        return str(self.verdict.get("scenario", "?"))

    @property
    def backend(self) -> str:
        """The backend's name, with the version of Huey where one was asked for."""
        return backend_name(self.verdict, "?")

    @property
    def counts(self) -> Mapping[str, int | None]:
        """The contract's counts."""
        return self.verdict.get("counts") or {}

    @property
    def sentences(self) -> list[str]:
        """What went wrong, a sentence for each kind of anomaly, or the reasons why that is not known."""
        return [line for line in self.story.partition("\n\n")[0].splitlines() if line]
