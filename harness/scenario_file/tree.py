"""YAML text as a tree in which every key and value knows its place.

The tree is built from the parser's events and not from its constructed objects: nothing is constructed that a
tag could name, depth and aliases are bounded before anything is expanded, and each problem has its place.
Plain values mean what the core schema of YAML 1.2 says (https://yaml.org/spec/1.2.2/#103-core-schema), as in
the editors that check a file while it is written, but for infinities, which no field of ours could mean, and
numbers with leading zeros, which YAML 1.1 reads as octal: both stay text.
"""

from __future__ import annotations

import bisect
import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from harness.scenario_file.problems import Place, Problem

BYTES_MAX = 256 * 1024
#: A scenario has five levels; the rest is room.
DEPTH_MAX = 20
#: Values in one document, with every alias counted as what it stands for.
VALUES_MAX = 10_000

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_OTHER_INT = re.compile(r"0o([0-7]+)|0x([0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
#: Longer ones mean nothing here, and Python refuses to read very long ones.
_DIGITS_MAX = 100
_NOT_ALLOWED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Scalar:
    """A single value. `text` is what the file says, `plain` whether it stands there without quotes."""

    place: Place
    value: str | int | float | bool | None
    text: str
    plain: bool
    size: int = 1
    height: int = 0


@dataclass(frozen=True)
class Entry:
    """One field of a mapping."""

    key: Scalar
    value: Node


@dataclass(frozen=True)
class Mapping:
    """Fields by name, in the order of the file; `size` counts all values in it, `height` the levels below."""

    place: Place
    entries: dict[str, Entry]
    size: int
    height: int


@dataclass(frozen=True)
class Items:
    """A list of values; `size` and `height` as for a mapping."""

    place: Place
    items: list[Node]
    size: int
    height: int


Node = Scalar | Mapping | Items


def plain_data(node: Node) -> Any:
    """The tree as dicts, lists and plain values, the shape that JSON has."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Items):
        return [plain_data(item) for item in node.items]
    return {name: plain_data(entry.value) for name, entry in node.entries.items()}


def parse(data: bytes, file: str) -> tuple[list[Node], list[Problem]]:
    """The documents of a YAML file that could be read, and all that is wrong with it as YAML.

    `file` is the name that problems carry. Never raises for anything that the bytes contain.
    """
    if len(data) > BYTES_MAX:
        return [], [Problem(file, 1, 1, f"the file has more than {BYTES_MAX // 1024} KiB, the limit")]
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return [], [Problem(file, 1, 1, "the file is UTF-16; save it as UTF-8 without a byte order mark")]
    if data.startswith(b"\xef\xbb\xbf"):
        message = "the file begins with a byte order mark; save it as UTF-8 without one"
        return [], [Problem(file, 1, 1, message)]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _Lines(data[: error.start].decode("utf-8"), file).place(error.start)
        return [], [Problem(*place, f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8")]
    lines = _Lines(text, file)
    bad = _NOT_ALLOWED.search(text)
    if bad is not None:
        name = " (NUL)" if bad[0] == "\0" else ""
        message = f"the character U+{ord(bad[0]):04X}{name} may not stand in a YAML file"
        return [], [Problem(*lines.place(bad.start()), message)]
    builder = _Builder(lines)
    builder.read(text)
    if not builder.documents and not builder.problems:
        builder.problems.append(Problem(file, 1, 1, "the file is empty: it holds no scenario"))
    return builder.documents, builder.problems


class _Lines:
    """From offsets in a text to places. An offset behind the last character is placed just behind it."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text) if match.end() < len(text))]

    def place(self, offset: int) -> Place:
        line = bisect.bisect_right(self._starts, offset)
        start = self._starts[line - 1]
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        # The end of the file is shown where its last line ends, not on a line that no editor numbers.
        last = len(self.text[start:end].rstrip("\r\n"))
        return Place(self.file, line, min(offset - start, last) + 1)


class _Stop(Exception):
    """A limit was passed: nothing behind this place is read."""


@dataclass
class _Open:
    """A collection whose end has not been read yet."""

    offset: int
    place: Place
    anchor: str | None
    is_mapping: bool
    entries: dict[str, Entry] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    #: In a mapping, whether a key comes next, and the one that was read; None where it cannot be used.
    at_key: bool = True
    key: Scalar | None = None
    size: int = 1
    height: int = 0


class _Builder:
    """Makes trees of a stream of events, without recursion."""

    def __init__(self, lines: _Lines) -> None:
        self.lines = lines
        self.documents: list[Node] = []
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._values = 0

    def read(self, text: str) -> None:
        """Read all documents, or up to the first error that makes the rest unreadable."""
        events = YAML(typ="safe", pure=True).parse(text)
        offset = 0
        while True:
            try:
                event = next(events, None)
            except MarkedYAMLError as error:
                self._syntax(error)
                return
            except Exception:
                # The parser is not ours and lets Python's own errors pass for some escapes (ValueError,
                # OverflowError, …). Whatever it is, the file made it stumble, behind the last event.
                self._problem(offset, "what follows this is not YAML; is there a wrong escape (\\U…) in it?")
                return
            if event is None:
                return
            offset = event.start_mark.index
            try:
                self._take(event)
            except _Stop:
                return

    def _take(self, event: Any) -> None:
        match event:
            case DocumentStartEvent():
                self._anchors = {}
                self._values = 0
                if event.version or event.tags:
                    message = "%-directives are not allowed: scenario files are YAML 1.2 without tags"
                    self._problem(event.start_mark.index, message)
            case ScalarEvent():
                self._tag(event)
                self._add(self._scalar(event), event.anchor)
            case SequenceStartEvent() | MappingStartEvent():
                self._tag(event)
                if len(self._stack) >= DEPTH_MAX:
                    self._problem(event.start_mark.index, f"nested more than {DEPTH_MAX} levels deep")
                    raise _Stop
                is_mapping = isinstance(event, MappingStartEvent)
                offset = event.start_mark.index
                self._stack.append(_Open(offset, self._place(event), event.anchor, is_mapping))
            case CollectionEndEvent():
                top = self._stack.pop()
                node: Node
                if top.is_mapping:
                    node = Mapping(top.place, top.entries, top.size, top.height)
                else:
                    node = Items(top.place, top.items, top.size, top.height)
                self._add(node, top.anchor)
            case AliasEvent():
                self._add(self._alias(event), None)
            case DocumentEndEvent():
                self._stack.clear()

    def _add(self, node: Node, anchor: str | None) -> None:
        """Put a finished node where it belongs."""
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self.documents.append(node)
            return
        top = self._stack[-1]
        top.size += node.size
        top.height = max(top.height, node.height + 1)
        if not top.is_mapping:
            top.items.append(node)
        elif top.at_key:
            top.key = self._key(node, top)
            top.at_key = False
        else:
            if top.key is not None:
                if isinstance(node, Scalar) and node.plain and not node.text:
                    # Where nothing stands the parser points behind comments, to whatever comes next.
                    node = replace(node, place=top.key.place)
                top.entries[top.key.text] = Entry(top.key, node)
            top.at_key = True

    def _key(self, node: Node, mapping: _Open) -> Scalar | None:
        """The node as a field's name, or None (and a problem) where it cannot be one."""
        message = ""
        if not isinstance(node, Scalar):
            message = "the name of a field is text, not a list or a mapping"
        elif node.text == "<<" and node.plain:
            message = "`<<` (merge) is not in YAML 1.2: write the fields out, or use an alias for the whole mapping"
        elif not node.text:
            message = "there is no name before the colon"
        elif node.text in mapping.entries:
            first = mapping.entries[node.text].key.place
            message = f"{named(node)} is given twice; first on line {first.line}, column {first.column}"
        else:
            return node
        self.problems.append(Problem(*node.place, message))
        return None

    def _scalar(self, event: ScalarEvent) -> Scalar:
        place = self._place(event)
        self._count(event, 1)
        text: str = event.value
        if any("\ud800" <= char <= "\udfff" for char in text):
            self._problem(event.start_mark.index, "half of a surrogate pair (\\uD800 to \\uDFFF) is no character")
            text = ""
        plain = event.style is None or event.style == ""
        return Scalar(place, _resolved(text) if plain else text, text, plain)

    def _alias(self, event: AliasEvent) -> Node:
        """What the alias stands for. What is still open has no anchor yet: nothing can contain itself."""
        node = self._anchors.get(event.anchor)
        if node is None:
            name = str(event.anchor)[:40]
            message = f"*{name} stands for nothing: no &{name} ends before this; text with * in front must be in quotes"
            self._problem(event.start_mark.index, message)
            return Scalar(self._place(event), None, f"*{event.anchor}", True)
        self._count(event, node.size)
        if len(self._stack) + node.height > DEPTH_MAX:
            self._problem(event.start_mark.index, f"nested more than {DEPTH_MAX} levels deep")
            raise _Stop
        return node

    def _count(self, event: Any, values: int) -> None:
        self._values += values
        if self._values > VALUES_MAX:
            message = f"more than {VALUES_MAX} values, aliases counted as what they stand for"
            self._problem(event.start_mark.index, message)
            raise _Stop

    def _tag(self, event: Any) -> None:
        if event.tag is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            message = f"the tag {tag[:40]!r} is not allowed: scenario files hold plain values only"
            self._problem(event.start_mark.index, message)

    def _place(self, event: Any) -> Place:
        return self.lines.place(event.start_mark.index)

    def _problem(self, offset: int, message: str) -> None:
        self.problems.append(Problem(*self.lines.place(offset), message))

    def _syntax(self, error: MarkedYAMLError) -> None:
        """Say what the parser found in words for someone who does not know its insides."""
        problem, context = str(error.problem or ""), str(error.context or "")
        at = error.problem_mark.index if error.problem_mark else 0
        began = error.context_mark.index if error.context_mark else at
        char = self.lines.text[at : at + 1]
        if "cannot start any token" in problem and char == "\t":
            self._problem(at, "a tab: YAML takes spaces only, here and in indentation")
        elif "cannot start any token" in problem:
            self._problem(at, f"text that begins with {char} must be in quotes")
        elif "mapping values are not allowed" in problem:
            message = (
                "a second `: ` in one line, or a line that is indented too far; text with a colon "
                "and a space in it must be in quotes"
            )
            self._problem(at, message)
        elif "quoted scalar" in context and "unexpected" in problem:
            self._problem(began, "the quote that opens here is never closed")
        elif "flow" in context and "stream end" in problem and self._stack:
            # What was opened last is the first that is left open.
            began = self._stack[-1].offset
            self._problem(began, f"the {self.lines.text[began]} that opens here is never closed")
        elif "flow" in context and "expected ','" in problem:
            closing = "]" if "sequence" in context else "}"
            self._problem(at, f"expected `,` or `{closing}` here")
        elif "could not find expected ':'" in problem:
            self._problem(began, "this line is no `field: value`; is the colon, or the space behind it, missing?")
        elif "expected <block end>" in problem:
            self._problem(at, "this does not fit what stands above it; is the indentation right?")
        elif "expected the node content" in problem:
            self._problem(at, "a value should be here; is a quote missing, or a bracket too many?")
        elif "sequence entries are not allowed" in problem:
            self._problem(at, "a list cannot begin here; put its first `- ` on a line of its own")
        elif "undefined tag handle" in problem:
            self._problem(at, "tags (!) are not allowed: scenario files hold plain values only")
        else:
            said = ", ".join(part for part in (context, problem) if part)
            self._problem(at, f"this is not YAML: {said}")


def _resolved(text: str) -> str | int | float | bool | None:
    """What a value without quotes means."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]  # type: ignore[return-value]
    if len(text) > _DIGITS_MAX:
        return text
    if _INT.fullmatch(text):
        return int(text)
    other = _OTHER_INT.fullmatch(text)
    if other:
        return int(other[1], 8) if other[1] else int(other[2], 16)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def named(key: Scalar) -> str:
    """A field's name as a message shows it."""
    return f"`{_short(key.text)}`"


def shown(node: Node) -> str:
    """The value as a message shows it: short, on one line, without anything that a terminal obeys."""
    if isinstance(node, Items):
        return f"a list of {len(node.items)}" if node.items else "an empty list"
    if isinstance(node, Mapping):
        return "a mapping"
    if node.value is None:
        return "nothing"
    if not isinstance(node.value, str):
        return node.text
    return f"'{_short(node.text)}'"


def _short(text: str) -> str:
    """At most 60 characters of it, and escapes for what cannot be printed."""
    text = text if len(text) <= 60 else f"{text[:57]}…"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
