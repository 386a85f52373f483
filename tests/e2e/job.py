"""Runs the main job as a person does, in a process of its own, and reads what it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 600
_FINDINGS_MAX = 10


@dataclass(frozen=True)
class Job:
    """How it ended."""

    exit: int
    output: str
    folder: Path

    def verdicts(self) -> dict[tuple[str, str], dict[str, Any]]:
        """verdict.json by scenario and backend."""
        found = [json.loads(path.read_text()) for path in self.folder.glob("*/*/*/verdict.json")]
        return {(one["scenario"], one["backend"]): one for one in found}


def pytest_command(*options: str) -> list[str]:
    """The command line of a pytest of its own."""
    return [
        sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:valkey", "-p", "no:hypothesispytest", "-v",
        *options,
    ]  # fmt: skip


def command(folder: Path, *options: str) -> list[str]:
    """The command line of a job that reports into that folder."""
    return pytest_command(f"--huey-report={folder}", *options)


def run_job(folder: Path, *options: str, env: dict[str, str] | None = None) -> Job:
    """Run it to its end."""
    return run(command(folder, *options), folder, env)


def run(command_line: list[str], folder: Path, env: dict[str, str] | None = None) -> Job:
    """Run such a command line to its end."""
    done = subprocess.run(
        command_line,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Job(done.returncode, done.stdout, folder)


def anomalies(verdict: dict[str, Any], *, covered: bool | None = None) -> set[str]:
    """The kinds of findings; `covered` selects those with, or without, a known limit."""
    return {
        finding["anomaly"]
        for check in verdict["checks"]
        for finding in check["findings"]
        if covered is None or bool(finding["limit"]) is covered
    }


def told(verdict: dict[str, Any]) -> str:
    """What a person needs who sees that this run did not end as it was to, in lines that no assertion cuts short."""
    faults = [
        f"fault {fault['index']}, {fault['kind']} {fault['target']}: {'landed' if fault['landed'] else 'NOT LANDED'}"
        f" ({fault['proof']}); {'healed' if fault['healed'] else 'NOT HEALED'} ({fault['heal_proof']})"
        for fault in verdict["faults"]
    ]
    found = [
        f"{check['checker']}: {finding['anomaly']}, limit {finding['limit']}: {finding['summary']}"
        for check in verdict["checks"]
        for finding in check["findings"]
    ]
    head = f"{verdict['scenario']} on {verdict['backend']}, {verdict['runtime']}: {verdict['validity']}"
    return "\n".join([head, *verdict["reasons"], *faults, *found[:_FINDINGS_MAX]])
