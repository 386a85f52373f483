"""What the terminal, JUnit and the trend need of one result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
        """The backend's name."""
        return str(self.verdict.get("backend", "?"))

    @property
    def counts(self) -> Mapping[str, int | None]:
        """The contract's counts."""
        return self.verdict.get("counts") or {}
