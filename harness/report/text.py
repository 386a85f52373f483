"""Numbers, times and foreign text as people read them."""

from __future__ import annotations

import re
import unicodedata

# Everything that could move a terminal's cursor, or be no character at all; tab and line feed stay.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ANSI = re.compile("\x1b\\[[0-9;?]*[ -/]*[@-~]")


def printable(text: object) -> str:
    """`text` without terminal escapes, direction overrides and other characters that are not to be seen."""
    return _UNPRINTABLE.sub("", _ANSI.sub("", str(text)))


def one_line(text: object, limit: int = 500) -> str:
    """`printable` on one line, cut to `limit` characters with an ellipsis that tells of the cut."""
    flat = " ".join(printable(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def told(text: object) -> str:
    """`printable`, and no line of it a command to the runner of GitHub Actions, which reads what jobs print: that is
    one that begins with `::`, or has `##[` anywhere (actions/runner, ActionCommand.cs).
    """
    return re.sub(r"(?m)^(\s*):(?=:)", r"\1: ", printable(text)).replace("##[", "# #[")


def cells(text: str) -> int:
    """Columns of a terminal that `text` takes: wide characters two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def clipped(text: str, width: int) -> str:
    """`text` in `width` columns of a terminal; an ellipsis tells of a cut."""
    if cells(text) <= width:
        return text
    while text and cells(text) >= width:
        text = text[:-1]
    return text + "…"


def number(value: int | float | None) -> str:
    """`12,345`; a dash for what is not claimed."""
    return "–" if value is None else f"{value:,}"


def at(seconds: float) -> str:
    """A moment of a run, in seconds since its first event: `12.41 s`."""
    return f"{seconds:.2f} s"


def duration_ms(value_ms: float | None) -> str:
    """A duration: `340 ms`, `1.92 s`; a dash for none."""
    if value_ms is None:
        return "–"
    return f"{value_ms:.0f} ms" if value_ms < 1000 else f"{value_ms / 1000:.2f} s"


def plural(count: int, noun: str) -> str:
    """`1 task`, `2,000 tasks`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def words(name: str) -> str:
    """A name of the machine's as words: `priority_inversion` → `priority inversion`."""
    return one_line(name, 80).replace("_", " ").replace("-", " ")
