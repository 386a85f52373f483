"""Whatever is done to a valid file, it loads, or every problem lies inside the file: nothing else comes out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from test_scenario_malformed import VALID

from harness.scenario_file import ScenarioErrors

#: Set it to a large number to search further; as it stands the same examples are tried every time.
EXAMPLES = int(os.environ.get("HUEY_MUTATIONS", "0"))
_SETTINGS = settings(max_examples=EXAMPLES or 400, derandomize=not EXAMPLES, deadline=None, database=None)

TOKENS = re.findall(r"\w+|\s+|[^\w\s]", VALID)
PIECES = st.sampled_from(
    [
        *set(TOKENS),
        *"\t\n\r :-?,[]{}#&*!|>'\"%@`~\\\0\x1b\x85\u2028\ufeff\U0001f600",
        *("---\n", "...\n", "- ", ": ", "? ", "<<: ", "&a ", "*a", "!!python/name:x ", "%YAML 1.1\n", "|2+\n"),
        *("null", "true", "no", "1_000", "3:30", "0x1f", "0o17", "017", ".inf", "-.NaN", "1e400", "9" * 5000),
        *('"\\ud800"', '"\\U0010ffff"', "[1, two, {three: 4}]", "{a: [b]}", "[" * 25, "x" * 3000),
        *("kind: kil", "knid: kill", "at: {}", "\nname: x", "\n  - kind: kill\n", "where: {first: x}", "where: [x]"),
        *(
            "\nextends: primary-loss",
            "\nextends: nobody",
            "extends: [",
            "\nparameters: {rate: 3, kind: x}",
            "$rate",
            "${rate}",
        ),
    ]
)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["delete", "repeat", "replace", "insert", "swap"]),
        st.integers(0, len(TOKENS) - 1),
        st.integers(1, 12),
        PIECES | st.text(max_size=8),
    ),
    min_size=1,
    max_size=5,
)


def mutated(edits: list[tuple[str, int, int, str]]) -> str:
    tokens = list(TOKENS)
    for what, at, length, piece in edits:
        at = min(at, len(tokens))
        cut = tokens[at : at + length]
        if what == "delete":
            tokens[at : at + length] = []
        elif what == "repeat":
            tokens[at:at] = cut
        elif what == "replace":
            tokens[at : at + 1] = [piece]
        elif what == "insert":
            tokens[at:at] = [piece]
        else:
            tokens[at : at + length] = reversed(cut)
    return "".join(tokens)


def must_load_or_say_where(read: Callable[[bytes], list[object]], content: bytes) -> None:
    loaded, problems = 0, ()
    try:
        loaded = len(read(content))
    except ScenarioErrors as errors:
        problems = errors.problems
    assert bool(loaded) != bool(problems)
    lines = re.split(r"\r\n|\r|\n", content.decode("utf-8", "replace"))
    for problem in problems:
        assert problem.file == "s.yaml"
        assert 1 <= problem.line <= len(lines), problem
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, problem
        assert problem.message.isprintable(), problem


@_SETTINGS
@given(edits=EDITS)
def test_mutated_text(read: Callable[[bytes], list[object]], edits: list[tuple[str, int, int, str]]) -> None:
    must_load_or_say_where(read, mutated(edits).encode("utf-8", "surrogatepass"))


@_SETTINGS
@given(at=st.integers(0, len(VALID)), length=st.integers(0, 20), put=st.binary(max_size=12))
def test_mutated_bytes(read: Callable[[bytes], list[object]], at: int, length: int, put: bytes) -> None:
    content = VALID.encode()
    must_load_or_say_where(read, content[:at] + put + content[at + length :])


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
#: A key of the valid file, with its value up to the end of the line.
_FIELDS = [match.span(1) for match in re.finditer(r"^[ -]*[\w]+: (.+)$", VALID, re.MULTILINE)]


@_SETTINGS
@given(field=st.sampled_from(_FIELDS), value=_VALUES)
def test_values_of_another_type(read: Callable[[bytes], list[object]], field: tuple[int, int], value: object) -> None:
    start, end = field
    content = VALID[:start] + as_flow(value) + VALID[end:]
    must_load_or_say_where(read, content.encode("utf-8", "surrogatepass"))


def as_flow(value: object) -> str:
    """The value in YAML's flow style, texts now and then without quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_flow(key)}: {as_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_flow, value)) + "]"
    if isinstance(value, str):
        return value if re.fullmatch(r"[a-z]+", value) else "'" + value.replace("'", "''") + "'"
    return "null" if value is None else str(value).lower()
