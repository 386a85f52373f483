"""What is exported for Jepsen's tools, read by somebody else's reader and held to what jepsen.history asks for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import edn_format
from edn_format import Keyword
from hypothesis import given, settings

from harness.history import log
from harness.history.columns import History, HistoryBuilder
from harness.history.edn import edn_lines
from harness.history.jsonl import as_dicts
from tests.history.test_jsonl import histories

Op = dict[str, Any]
KEYWORD = "keyword "


def plain(value: Any) -> Any:
    """EDN as Python: keywords marked as such, since a text may begin with a colon too."""
    if isinstance(value, Keyword):
        return f"{KEYWORD}{value.name}"
    if isinstance(value, edn_format.ImmutableDict):
        return {plain(key).removeprefix(KEYWORD): plain(one) for key, one in value.items()}
    if isinstance(value, edn_format.ImmutableList):
        return [plain(one) for one in value]
    return value


def read(history: History) -> list[Op]:
    return [plain(edn_format.loads(line)) for line in edn_lines(history)]


def is_jepsens(ops: list[Op]) -> None:
    """As jepsen.history wants it: dense indexes, and processes with one operation open, gone after an `:info`."""
    opened: dict[Any, str] = {}
    gone = set()
    for index, op in enumerate(ops):
        assert op["index"] == index
        if op["process"] == f"{KEYWORD}nemesis":
            assert op["type"] == f"{KEYWORD}info"
            continue
        assert type(op["process"]) is int and op["process"] not in gone
        if op["type"] == f"{KEYWORD}invoke":
            assert op["process"] not in opened
            opened[op["process"]] = op["f"]
        else:
            assert opened.pop(op["process"]) == op["f"]
            if op["type"] == f"{KEYWORD}info":
                gone.add(op["process"])


def test_the_example_of_the_docs() -> None:
    made = HistoryBuilder()
    kill = made.f_code("kill")
    made.add(1200, "producer-0", log.INVOKE, log.ENQUEUE, 17, 5.0)
    made.add(1900, "producer-0", log.OK, log.ENQUEUE, 17)
    made.add(2000, "nemesis", log.INFO, kill, outcome=log.LANDED)
    made.add(2500, "consumer-1/w2", log.INVOKE, log.DEQUEUE)
    made.add(2600, "consumer-1/w2", log.OK, log.DEQUEUE, 17)
    made.add(2700, "consumer-1/w2", log.INVOKE, log.EXECUTE, 17)
    made.add(2800, "consumer-1/w2", log.INVOKE, log.ENQUEUE, 18)
    made.add(2900, "consumer-1/w2", log.INFO, log.ENQUEUE, 18, error=log.E_TIMEOUT)
    made.add(3000, "consumer-1/w2", log.OK, log.EXECUTE, 17)
    made.add(3100, "consumer-1/w2", log.INVOKE, log.GET_RESULT, 17)
    made.add(3200, "consumer-1/w2", log.OK, log.GET_RESULT, 17, value=42)
    made.add(3300, "drainer", log.INVOKE, log.DRAIN)
    made.add(3400, "drainer", log.FAIL, log.DRAIN, tasks=[3, 4], done=[17])
    history = made.build()
    assert next(iter(edn_lines(history))) == (
        '{:index 0, :time 0, :process 0, :type :invoke, :f :enqueue, :value 17, :worker "producer-0", :priority 5}'
    )
    ops = read(history)
    is_jepsens(ops)
    assert [(op["process"], op["type"], op["f"], op["value"]) for op in ops] == [
        (0, f"{KEYWORD}invoke", f"{KEYWORD}enqueue", 17),
        (0, f"{KEYWORD}ok", f"{KEYWORD}enqueue", 17),
        (f"{KEYWORD}nemesis", f"{KEYWORD}info", f"{KEYWORD}kill", {"fault": 0, "phase": f"{KEYWORD}landed"}),
        (1, f"{KEYWORD}invoke", f"{KEYWORD}dequeue", None),
        (1, f"{KEYWORD}ok", f"{KEYWORD}dequeue", 17),
        (1, f"{KEYWORD}invoke", f"{KEYWORD}execute", 17),
        (2, f"{KEYWORD}invoke", f"{KEYWORD}enqueue", 18),  # while the body that does it runs
        (2, f"{KEYWORD}info", f"{KEYWORD}enqueue", 18),
        (1, f"{KEYWORD}ok", f"{KEYWORD}execute", 17),
        (1, f"{KEYWORD}invoke", f"{KEYWORD}get_result", [17, 0]),
        (1, f"{KEYWORD}ok", f"{KEYWORD}get_result", [17, 42]),
        (3, f"{KEYWORD}invoke", f"{KEYWORD}drain", None),
        (3, f"{KEYWORD}fail", f"{KEYWORD}drain", [3, 4]),
    ]
    assert ops[7]["error"] == f"{KEYWORD}time-out" and ops[12]["done"] == [17]


@settings(max_examples=60, deadline=None)
@given(history=histories())
def test_any_history_is_one_of_jepsens(history: History) -> None:
    ops = read(history)
    is_jepsens(ops)
    written = Counter(
        (one["type"], one["f"], one.get("task")) for one in as_dicts(history) if one["process"] != "nemesis"
    )
    back: Counter[Any] = Counter()
    for op in ops:
        if op["process"] != f"{KEYWORD}nemesis":
            value = op["value"]
            f = op["f"].removeprefix(KEYWORD)
            if f in ("read_schedule", "drain"):
                value = None
            back[op["type"].removeprefix(KEYWORD), f, value[0] if isinstance(value, list) else value] += 1
    assert back == written
