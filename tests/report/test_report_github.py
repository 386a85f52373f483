"""What GitHub Actions is told: Markdown that shows anyone's text as text, and commands that nobody else can give."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from harness.protocols import HarnessError
from harness.report.github import ERRORS_MAX, TOLD_MAX, annotation_lines, append_summary, command, job_summary
from harness.report.result import Broken, Result
from tests.unit.judged import HOSTILE, judged

ALL = [judged("memory"), judged("sqlite"), judged("blackhole"), judged("file")]


def test_a_summary() -> None:
    good = [judged("memory"), judged("blackhole")]
    assert job_summary(good, report=Path("reports/r/report.html")) == (
        "## huey-harness: 1 ≈ known limits, 1 ✔ valid\n\n"
        "| scenario | backend | verdict | acknowledged | lost | duplicated | inversions | slowest recovery |\n"
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| steady | blackhole | ≈ known limits | 240 | 2 | 0 | 0 | – |\n"
        "| steady | memory | ✔ valid | 240 | 0 | 0 | 0 | – |\n\n"
        "### Known limits\n\n"
        "- **steady\\[blackhole\\]**: deletes-everything (1 lost)\n\n"
        "The whole report is `reports/r/report.html`.\n"
    )


def test_what_fails_is_told_in_a_sentence_and_with_its_replay() -> None:
    text = job_summary(ALL, [Broken("chords[redis]", "no server\n  → get one")])
    assert "- **steady\\[sqlite\\]**: 2 tasks lost: gone " in text
    assert "- **chords\\[redis\\]** was not run: no server → get one" in text
    assert (
        "```console\n$ pytest --huey-replay=reports/r/steady/sqlite\n$ pytest --huey-replay=reports/r/steady/file\n```"
    ) in text
    assert text.index("✘ invalid | 240") < text.index("? unknown | 240") < text.index("✔ valid | 240")
    strict = job_summary(ALL, strict=True)
    assert "### Known limits" not in strict and "huey-replay=reports/r/steady/blackhole" in strict


def test_foreign_text_is_text_in_markdown() -> None:
    results = [judged("sqlite", scenario=HOSTILE, backend=HOSTILE, replay=f"``` {HOSTILE}"), judged("file")]
    text = job_summary(results, [Broken(HOSTILE, HOSTILE)])
    prose, fence, code = text.partition("````console")
    assert fence and code.partition("````")[0].count("\n") == 3, "no fence inside closes it"
    assert "\x1b" not in text
    assert "<" not in prose and not re.search(r"(?<!\\)[`@#](?!# )", prose.replace("### ", "").replace("## ", ""))
    table = [line for line in prose.splitlines() if line.startswith("| ")]
    assert len(table) == 4 and {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {9}
    shown = html.unescape(re.sub(r"\\([^\w\s])", r"\1", table[2]))
    assert "</script><img src=x onerror=alert(1)>|`a` ::error::gotcha ##[error]gotcha @you %0A::warning::x" in shown


def test_annotations() -> None:
    lines = annotation_lines(ALL, [Broken("chords[redis]", "no server\n  → get one")])
    assert [line.partition("::")[2].partition("::")[0] for line in lines] == [
        "error title=steady[sqlite]%3A invalid",
        "error title=steady[file]%3A unknown",
        "error title=chords[redis]%3A not run",
        "notice title=huey-harness%3A known limits",
    ]
    assert "%0Areplay: pytest --huey-replay=reports/r/steady/sqlite" in lines[0]
    assert lines[2].endswith("::no server%0A→ get one")
    assert lines[3].endswith("::steady[blackhole]: known limits: deletes-everything (1 lost)")
    assert len(annotation_lines(ALL, strict=True)) == 3
    assert annotation_lines([judged("memory")]) == []


def decoded(text: str) -> str:
    """As the runner undoes it (actions/runner, ActionCommand.cs)."""
    for code, character in (("%3A", ":"), ("%2C", ","), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_no_text_can_give_a_command() -> None:
    line = command("error", f"{HOSTILE}\r\n::set-env name=x::y", title="a,file=/etc/passwd::b\n::error::c")
    assert len(line.splitlines()) == 1
    head, message = re.fullmatch(r"::error title=([^:,]*)::(.*)", line).groups()  # type: ignore[union-attr]
    assert decoded(head) == "a,file=/etc/passwd::b ::error::c"
    assert decoded(message).splitlines()[-1] == "::set-env name=x::y"
    assert "%0A::warning::x" in decoded(message), "what was written as an escape stays what was written"
    for one in annotation_lines([judged("sqlite", scenario=HOSTILE, backend=HOSTILE)], [Broken(HOSTILE, HOSTILE)]):
        assert len(one.splitlines()) == 1 and "\x1b" not in one and one.startswith("::error title=")
        assert one.index("::", 2) == re.match(r"::error title=[^:]*", one).end()  # type: ignore[union-attr]


def test_a_story_is_no_command_either() -> None:
    for result in ALL[1:]:
        for line in result.story.splitlines():
            assert not line.lstrip().startswith("::") and "##[" not in line


def test_both_are_bounded() -> None:
    many = [judged("sqlite", scenario=f"s{i}") for i in range(2_000)]
    lines = annotation_lines(many)
    assert len(lines) == ERRORS_MAX and lines[-1].endswith("::1991 more runs failed")
    text = job_summary(many, [Broken(f"b{i}", HOSTILE * 100) for i in range(2_000)])
    assert "… and 1700 more" in text
    assert text.count("\n$ ") == TOLD_MAX
    assert len(text.encode()) < 200_000


def test_it_is_appended_and_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("of others\n")
    append_summary(path, "ours\n")
    assert path.read_text() == "of others\nours\n"
    with pytest.raises(HarnessError, match="GITHUB_STEP_SUMMARY"):
        append_summary(tmp_path, "ours\n")


def test_without_a_story_a_result_has_no_sentences() -> None:
    assert Result({}).sentences == []
