"""Every rule, asked of every subject that it applies to; who does otherwise does exactly what is listed."""

from __future__ import annotations

import pytest

from .finds import find_of
from .params import param
from .places import Bench
from .rules import RULES, Rule
from .subjects import SUBJECTS

CASES = [
    param(subject, rule, name=rule.name) for subject in SUBJECTS for rule in RULES.values() if rule.applies(subject)
]


@pytest.mark.parametrize(("opened", "rule"), CASES, indirect=["opened"])
def test_rule(bench: Bench, rule: Rule) -> None:
    expected, seen = rule.expected(bench.subject), rule.seen(bench)
    find = find_of(rule.name, bench.subject)
    print(f"{bench.subject.name}: {rule.says}\n  expected: {expected!r}\n  seen:     {seen!r}")
    if find is None:
        assert seen == expected
        return
    print(f"  {find.where}: {find.line}")
    assert seen != expected, "this one keeps the rule now: take it out of finds.py and docs/found.md"
    assert seen == find.seen, "it does otherwise, but not as listed"
