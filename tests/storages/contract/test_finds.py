"""The list of finds says what is there: rules, subjects, and lines of source. No servers."""

from __future__ import annotations

import importlib
import inspect
import itertools

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
