from __future__ import annotations

import pytest

from harness.checkers import Context
from harness.checkers.unread import check
from tests.checkers.scripts import history

PUT = "0-1 p ask_dead 1\n1-2 p enqueue 1\n3-4 c dequeue 1\n"
DEAD = "5-6 c complete 1 outcome=dead\n"
CASES = {
    "given up": (PUT + DEAD, {}),
    "given up by two": (PUT + DEAD + "7-8 d complete 1 outcome=dead", {}),
    "done": (PUT + "5-6 c complete 1", {"read_unreadable": 1}),
    "failed": (PUT + "5-6 c complete 1 outcome=failed", {"read_unreadable": 1}),
    "begun, and given up": (PUT + "4-5 c execute 1\n" + DEAD, {"read_unreadable": 1}),
    "could be read": (PUT.replace("p ask_dead 1", "p ask_dead 2") + DEAD, {"dropped_unread": 1}),
    "could be read, and was tried": (PUT.replace("p ask_dead 1", "p ask_dead 2") + "4-5 c execute 1\n" + DEAD, {}),
    "nobody knows whether it was given up": (
        PUT.replace("p ask_dead 1", "p ask_dead 2") + "5-6? c complete 1 outcome=dead",
        {},
    ),
    "a part of what did not get further": ("0- p enqueue 1\n3-4 c dequeue 7\n5-6 c complete 7 outcome=dead", {}),
    "nobody knows whether it was put": ("0-1? p enqueue 1\n3-4 c dequeue 7\n5-6 c complete 7 outcome=dead", {}),
    "it was put, and something else dropped": (
        "0-1 p enqueue 1\n3-4 c dequeue 7\n5-6 c complete 7 outcome=dead",
        {"dropped_unread": 1},
    ),
    "it was taken whole, and something else dropped": (
        "0- p enqueue 1\n1-2 c dequeue 1\n3-4 c dequeue 7\n5-6 c complete 7 outcome=dead",
        {"dropped_unread": 1},
    ),
    "more was dropped than may be in parts": (
        "0- p enqueue 1\n3-4 c dequeue 7\n5-6 c complete 7 outcome=dead\n"
        "7-8 c dequeue 8\n9-9 c complete 8 outcome=dead",
        {"dropped_unread": 1},
    ),
    "nothing unreadable": ("0-1 p enqueue 1\n2-3 c dequeue 1\n4-5 c complete 1", {}),
}


@pytest.mark.parametrize(("script", "expected"), CASES.values(), ids=CASES)
def test_case(script: str, expected: dict[str, int]) -> None:
    result = check(history(script), Context())
    assert {name: count for name, count in result.counts.items() if count} == expected
    assert all(finding.tasks in ((1,), (7,), (8,)) for finding in result.findings)
