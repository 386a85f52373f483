"""What GitHub Actions shows of a run: a summary of the job in Markdown, and annotations.

Formats and limits: docs.github.com, "Workflow commands for GitHub Actions". Names and findings may be anyone's text:
none of it becomes Markdown, and none of it a command.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness.protocols import HarnessError
from harness.report.model import inversions, limits_text, standing
from harness.report.result import Broken, Result
from harness.report.terminal import STANDINGS
from harness.report.text import duration_ms, number, one_line

#: GitHub takes 1 MiB of summary from a step, and drops all of it where there is more: these keep it far below.
ROWS_MAX, TOLD_MAX = 300, 50
#: GitHub shows ten errors of a step.
ERRORS_MAX = 10
_HEADS = ("scenario", "backend", "verdict", "acknowledged", "lost", "duplicated", "inversions", "slowest recovery")
_ORDER = ("invalid", "unknown", "limits", "valid")
#: All that Markdown, or GitHub's own additions to it (mentions, links, formulas), could read as anything but text.
_MARKDOWN = re.compile(r"([\\`*_\[\]#|~@$]|:(?=\S)|(?<=[wW]{3})\.)")


def job_summary(
    results: Sequence[Result], broken: Sequence[Broken] = (), *, strict: bool = False, report: Path | None = None
) -> str:
    """The table of verdicts, a sentence for each anomaly, and how to replay what failed."""
    counted = Counter(standing(one.verdict) for one in results)
    told = [f"{counted[name]} {STANDINGS[name]}" for name in _ORDER if counted[name]]
    told += [f"{len(broken)} ✘ not run"] if broken else []
    parts = [f"## huey-harness: {', '.join(told)}"]
    if results:
        parts += ["\n".join(_table(results))]
    failed = [one for one in results if _fails(one, strict)]
    if failed or broken:
        parts += ["### What went wrong", "\n".join(_wrong(failed, broken))]
    covered = [one for one in results if standing(one.verdict) == "limits" and not strict]
    if covered:
        parts += ["### Known limits", "\n".join(_cut([f"- {_title(one)}: {_limits(one)}" for one in covered]))]
    replays = [one_line(one.verdict["replay"], 1000) for one in failed if one.verdict.get("replay")]
    if replays:
        parts += ["### Run it again", _code(replays[:TOLD_MAX])]
    if report is not None:
        parts += [f"The whole report is `{one_line(report, 300).replace('`', '')}`."]
    return "\n\n".join(parts) + "\n"


def append_summary(path: Path, text: str) -> None:
    """Add to the file that GITHUB_STEP_SUMMARY names. Raises HarnessError."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise HarnessError(f"cannot write {path}, which GITHUB_STEP_SUMMARY names: {error.strerror}") from error


def annotation_lines(results: Sequence[Result], broken: Sequence[Broken] = (), *, strict: bool = False) -> list[str]:
    """Workflow commands, a line each: an error for each test that fails, one notice for all known limits."""
    failing = [
        (f"{one.scenario}[{one.backend}]: {standing(one.verdict)}", "\n".join(_failure(one)))
        for one in results
        if _fails(one, strict)
    ]
    failing += [(f"{one.name}: not run", one.why) for one in broken]
    lines = [command("error", message, title=title) for title, message in failing]
    if len(lines) > ERRORS_MAX:
        more = f"{len(lines) - ERRORS_MAX + 1} more runs failed"
        lines = [*lines[: ERRORS_MAX - 1], command("error", more, title="huey-harness")]
    covered = [one for one in results if standing(one.verdict) == "limits" and not strict]
    if covered:
        told = [f"{one.scenario}[{one.backend}]: {limits_text(one.verdict)}" for one in covered[:TOLD_MAX]]
        lines.append(command("notice", "\n".join(told), title="huey-harness: known limits"))
    return lines


def command(name: str, message: str, **properties: str) -> str:
    """`::name key=value::message`, escaped as GitHub's own toolkit does (actions/toolkit, core/src/command.ts)."""
    given = ",".join(f"{key}={_property(one_line(value, 200))}" for key, value in properties.items())
    return f"::{name} {given}::{_data(message)}"


def _data(text: str) -> str:
    flat = "\n".join(one_line(line) for line in text.split("\n"))
    return flat.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _fails(result: Result, strict: bool) -> bool:
    state = standing(result.verdict)
    return state in ("invalid", "unknown") or (strict and state == "limits")


def _failure(result: Result) -> list[str]:
    replay = result.verdict.get("replay")
    return [*result.sentences, *([f"replay: {replay}"] if replay else [])] or [standing(result.verdict)]


def _table(results: Sequence[Result]) -> Iterable[str]:
    yield f"| {' | '.join(_HEADS)} |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
    # What went wrong comes first: of a long table GitHub shows the beginning.
    ranked = sorted(results, key=lambda one: _ORDER.index(standing(one.verdict)))
    for one in ranked[:ROWS_MAX]:
        counts: Mapping[str, int | None] = one.counts
        row = (
            _text(one.scenario),
            _text(one.backend),
            STANDINGS[standing(one.verdict)],
            *(number(counts.get(name)) for name in ("acknowledged", "lost", "duplicated")),
            number(inversions(counts)),
            duration_ms(one.verdict.get("recovery_ms_max")),
        )
        yield f"| {' | '.join(row)} |"
    if len(results) > ROWS_MAX:
        yield f"\n… and {len(results) - ROWS_MAX} more"


def _wrong(failed: Sequence[Result], broken: Sequence[Broken]) -> list[str]:
    lines = [f"- {_title(one)}: {_text(sentence)}" for one in failed for sentence in one.sentences or ("",)]
    return _cut([*lines, *(f"- **{_text(one.name)}** was not run: {_text(one.why)}" for one in broken)])


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= TOLD_MAX else [*lines[:TOLD_MAX], f"- … and {len(lines) - TOLD_MAX} more"]


def _limits(result: Result) -> str:
    return _text(limits_text(result.verdict).removeprefix("known limits: "))


def _title(result: Result) -> str:
    return f"**{_text(f'{result.scenario}[{result.backend}]')}**"


def _text(text: object) -> str:
    """Anyone's text, as Markdown that shows just that."""
    return html.escape(_MARKDOWN.sub(r"\\\1", one_line(text)), quote=False)


def _code(lines: Sequence[str]) -> str:
    # A fence longer than any in what it holds.
    fence = "`" * max(3, 1 + max(len(run) for run in re.findall("`*", "\n".join(lines))))
    return "\n".join([f"{fence}console", *(f"$ {line}" for line in lines), fence])
