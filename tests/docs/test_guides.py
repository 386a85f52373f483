"""The guides, followed to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.console import Command, File, follow, matches, steps

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.cluster
@pytest.mark.world
def test_your_first_scenario(tmp_path: Path) -> None:
    done = follow((DOCS / "your-first-scenario.md").read_text(), tmp_path)
    assert len([one for one in done if one.startswith("pytest ")]) == 3
    assert (tmp_path / "reports" / "latest" / "report.html").exists()


# ---------------------------------------------------------------- following


def test_what_a_page_tells_to_do() -> None:
    page = (
        "In `a/b.py`:\n\n```python\nx = 1\n```\n\n```console\n$ one\nout\n$ echo $?\n3\n```\n\n```yaml\nno: file\n```\n"
    )
    assert list(steps(page)) == [File("a/b.py", "x = 1\n"), Command("one", ("out",)), Command("echo $?", ("3",))]


def test_lines_come_in_their_order_with_anything_between_and_within() -> None:
    output = "first 1\nnoise\nsecond  2 s\nthird\n"
    assert matches(("first …", "…", "second … s", "third"), output)
    assert not matches(("second …", "first …"), output)
    assert not matches(("fourth",), output)


@pytest.mark.parametrize(
    ("console", "said"),
    [
        ("$ false\n", "false ended with 1"),
        ("$ echo a\nb\n", "after 'echo a' came"),
        ("$ true\n$ echo $?\n1\n", "ended with 0"),
    ],
)
def test_a_page_that_is_not_so_is_noticed(tmp_path: Path, console: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        follow(f"```console\n{console}```\n", tmp_path)
