"""The guides, followed to the letter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from huey import Huey, MemoryHuey

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


# ---------------------------------------------------------------- pages


def test_every_page_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "index.md").read_text()))
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} == linked


def test_what_the_old_queue_holds_is_handed_over() -> None:
    """docs/move.md: its app can be imported while its servers are away, and what it hands over runs."""
    app, hand_over = re.findall(r"```python\n(.*?)```", (DOCS / "move.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(app, names)
    assert isinstance(names["huey"], Huey)
    exec(hand_over, names)
    old, new = MemoryHuey("old"), MemoryHuey("new")
    calls = [huey.task(name="add")(lambda a, b: a + b) for huey in (old, new)]
    later = calls[0].schedule((3, 4), delay=3600)
    old.execute(old.dequeue())  # it is in the queue until a worker sees that its time has not come
    waiting = calls[0](1, 2)
    assert (len(old), old.scheduled_count()) == (1, 1)
    assert names["hand_over"](old, new) == 2
    assert (len(old), old.scheduled_count(), len(new), new.scheduled_count()) == (0, 0, 1, 1)
    new.execute(new.dequeue())
    assert new.result(waiting.id) == 3
    assert [task.id for task in new.scheduled()] == [later.id]
