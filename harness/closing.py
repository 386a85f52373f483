"""What a session says at its end: the table on the terminal, and what GitHub Actions is told."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.report.github import annotation_lines, append_summary, job_summary
from harness.report.terminal import summary
from harness.session import Session

#: The table's colours, where pytest uses any (`--color`, NO_COLOR, FORCE_COLOR, a terminal).
MARKUP: dict[str, dict[str, bool]] = {
    "head": {"bold": True},
    "rule": {"light": True},
    "valid": {"green": True},
    "limits": {"yellow": True},
    "unknown": {"purple": True},
    "invalid": {"red": True, "bold": True},
}


@dataclass(frozen=True)
class Closing:
    """The end of a session in the process that reports: with pytest-xdist, of all its workers."""

    session: Session
    report: Path | None
    error: str = ""

    def terminal(self, reporter: Any) -> None:
        """The table, where the report is, and annotations where GitHub reads along."""
        session, writer = self.session, reporter._tw
        if session.results and reporter.config.get_verbosity() > -2:
            reporter.write_sep("=", "huey-harness")
            for line in summary(
                session.results,
                width=writer.fullwidth,
                paint=lambda text, role: str(writer.markup(text, **MARKUP[role])),
            ):
                reporter.write_line(line)
        if self.report is not None:
            reporter.write_line(f"report: {self.report}")
        if self.error:
            reporter.write_line(f"no report: {self.error}", red=True)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in annotation_lines(session.results, session.broken, strict=session.options.strict):
                reporter.write_line(line)

    def github_summary(self) -> None:
        """Add to the job's summary. Raises HarnessError where its file cannot be written."""
        path, session = os.environ.get("GITHUB_STEP_SUMMARY"), self.session
        is_worker = session.options.folder is not None
        if path and not is_worker and (session.results or session.broken):
            told = job_summary(session.results, session.broken, strict=session.options.strict, report=self.report)
            append_summary(Path(path), told)
