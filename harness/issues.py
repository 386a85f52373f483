"""`huey-harness issues`: an issue for each kind of anomaly that a run found and no known limit covers, once.

The kind is the backend, the scenario, the checker and the anomaly; a digest of them stands in the issue's title, and
while an open issue has it no other is opened. Nothing of a verdict reaches a shell: programs are called with lists of
arguments.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from harness.protocols import HarnessError, Unavailable
from harness.report.text import one_line

#: With it a title begins, and by it open issues are found.
MARK = "huey-harness"
#: What a tracker's program may take for one request.
TIMEOUT_S = 60.0
#: Of each kind so many findings are told; the report has all of them.
SHOWN_MAX = 5
_LINE = 300


@dataclass(frozen=True)
class Issue:
    """What is to be said of one kind of anomaly. `fingerprint` tells it from all others, whatever the seed was."""

    fingerprint: str
    title: str
    body: str


@dataclass(frozen=True)
class Tracker:
    """A program that lists open issues, as JSON with a `title` each, and opens one."""

    list_open: tuple[str, ...]
    create: tuple[str, ...]
    title: str
    body: str
    remedy: str


TRACKERS: Mapping[str, Tracker] = {
    "gh": Tracker(
        ("gh", "issue", "list", "--state=open", "--limit=1000", f"--search={MARK} in:title", "--json=title"),
        ("gh", "issue", "create"),
        "--title=",
        "--body=",
        "https://cli.github.com, and a GH_TOKEN that may write issues",
    ),
    "glab": Tracker(
        ("glab", "issue", "list", "--per-page=100", f"--search={MARK}", "--in=title", "--output=json"),
        ("glab", "issue", "create", "--yes"),
        "--title=",
        "--description=",
        "https://gitlab.com/gitlab-org/cli, and a GITLAB_TOKEN that may write issues",
    ),
}


def found_in(folder: Path) -> list[Issue]:
    """What all runs below a folder found, a kind once. Raises HarnessError for a file that is no verdict."""
    kinds: dict[tuple[str, ...], list[tuple[Mapping[str, Any], str]]] = {}
    seen = set()
    for path in sorted(folder.rglob("verdict.json")):
        try:
            verdict = json.loads(path.read_bytes())
            # Where artifacts are kept, the link `latest` has become a second copy.
            if (result := (verdict["run"], verdict["scenario"], verdict["backend"])) in seen:
                continue
            seen.add(result)
            for check in verdict["checks"]:
                for finding in check["findings"]:
                    if finding["limit"] is None:
                        names = (verdict["backend"], verdict["scenario"], check["checker"], finding["anomaly"])
                        kinds.setdefault(tuple(map(str, names)), []).append((verdict, str(finding["summary"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HarnessError(f"{path} is no verdict: {type(error).__name__}: {error}") from None
    return [_issue(kind, findings) for kind, findings in kinds.items()]


def _issue(kind: tuple[str, ...], findings: list[tuple[Mapping[str, Any], str]]) -> Issue:
    backend, scenario, checker, anomaly = (one_line(name, 100) for name in kind)
    fingerprint = hashlib.sha256("\0".join(kind).encode()).hexdigest()[:12]
    first = findings[0][0]
    lines = [f"{len(findings)} × {anomaly} ({checker}) in {scenario} on {backend}; no known limit covers it.", ""]
    lines += _quoted(summary for _, summary in findings[:SHOWN_MAX])
    lines += ["", "Seed and versions:", ""]
    lines += _quoted([f"seed {first.get('seed')}", json.dumps(first.get("versions"), ensure_ascii=True)])
    lines += ["", "The same plan again, with the run's folder from the artifacts of the job:", ""]
    lines += _quoted([str(first.get("replay"))])
    return Issue(fingerprint, f"[{MARK} {fingerprint}] {anomaly} in {scenario} on {backend}", "\n".join(lines) + "\n")


def _quoted(lines: Iterable[str]) -> list[str]:
    """As a block of code, in which nothing is a link, a name or a command of the tracker's."""
    return [f"    {one_line(line, _LINE)}" for line in lines]


def open_issues(issues: Iterable[Issue], tracker: str, out: TextIO) -> int:
    """Open those that nobody has open; how many that were. Raises Unavailable where the tracker's program fails."""
    program = TRACKERS[tracker]
    try:
        titles = [str(one["title"]) for one in json.loads(_run(program, program.list_open))]
    except (ValueError, KeyError, TypeError) as error:
        raise HarnessError(f"`{' '.join(program.list_open)}` did not list issues as JSON: {error}") from None
    opened = 0
    for issue in issues:
        if any(f"[{MARK} {issue.fingerprint}]" in title for title in titles):
            print(f"open already: {issue.title}", file=out)
            continue
        said = _run(program, (*program.create, f"{program.title}{issue.title}", f"{program.body}{issue.body}"))
        print(f"opened: {issue.title}\n  {one_line(said, _LINE)}", file=out)
        opened += 1
    return opened


def _run(program: Tracker, command: tuple[str, ...]) -> str:
    name = " ".join(command[:3])
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise Unavailable(f"there is no program {command[0]}", remedy=program.remedy) from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"`{name}` did not answer within {TIMEOUT_S:.0f} s", remedy=program.remedy) from None
    if done.returncode != 0:
        raise Unavailable(f"`{name}` failed: {one_line(done.stderr, _LINE)}", remedy=program.remedy)
    return done.stdout
