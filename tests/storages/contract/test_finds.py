"""The list of finds says what is there: rules, subjects, and lines of source. No servers."""

from __future__ import annotations

import importlib
import inspect
import itertools
import re
from pathlib import Path

import pytest

from .finds import FINDS, Find
from .rules import RULES
from .subjects import SUBJECTS


@pytest.mark.parametrize("find", FINDS, ids=lambda find: f"{find.rule}:{find.subjects.split()[0]}")
def test_a_find_names_what_exists(find: Find) -> None:
    subjects = {subject.name: subject for subject in SUBJECTS}
    assert all(RULES[find.rule].applies(subjects[name]) for name in find.names())
    module, _, path = find.where.rpartition(":")
    thing = importlib.import_module(module or "huey.storage")
    for name in path.split("."):
        thing = getattr(thing, name)
    assert find.line in inspect.getsource(thing)


def test_a_subject_answers_a_rule_in_one_way() -> None:
    for one, other in itertools.combinations(FINDS, 2):
        assert one.rule != other.rule or not one.names() & other.names()


def test_every_find_is_told_with_a_line_that_shows_it() -> None:
    text = (Path(__file__).parents[3] / "docs" / "found.md").read_text()
    told = re.findall(r"[`\[]([a-z-]+):([a-z0-9-]+)[`\]]", text)
    assert {rule for _, rule in told} == {find.rule for find in FINDS}
    for name, rule in told:
        assert any(name in find.names() for find in FINDS if find.rule == rule), f"{name}:{rule} is no find"
