"""How far replicas were behind their primaries, from samples of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.report.text import one_line

#: Replicas shown, those that were furthest behind.
REPLICAS_MAX = 4


def behind(
    roles: Sequence[Mapping[str, Any]],
    offsets: Sequence[Mapping[str, Any]],
    origin_ns: int,
    interval_s: float,
    count: int,
) -> tuple[tuple[str, list[float | None]], ...]:
    """(replica, bytes behind the primary that it names) in each of `count` intervals: the most that was seen in it.

    Offsets are asked of one server after the other, so a replica may seem ahead of its primary by a moment: that is 0.
    """
    gaps: dict[str, list[float | None]] = {}
    changes = sorted(roles, key=lambda sample: int(sample["time_ns"]))
    at, primary_of = 0, dict[str, str]()
    for sample in offsets:
        while at < len(changes) and changes[at]["time_ns"] <= sample["time_ns"]:
            primary_of = _primaries(changes[at])
            at += 1
        known = sample.get("offsets")
        part = int((sample["time_ns"] - origin_ns) / 1e9 / interval_s) if interval_s else -1
        if not isinstance(known, dict) or not 0 <= part < count:
            continue
        for replica, primary in primary_of.items():
            if isinstance(known.get(replica), int) and isinstance(known.get(primary), int):
                row = gaps.setdefault(replica, [None] * count)
                row[part] = max(row[part] or 0, known[primary] - known[replica], 0)
    furthest = sorted(gaps, key=lambda name: (-max(gap or 0 for gap in gaps[name]), name))[:REPLICAS_MAX]
    return tuple((one_line(name, 80), gaps[name]) for name in sorted(furthest))


def _primaries(sample: Mapping[str, Any]) -> dict[str, str]:
    members = sample.get("members")
    return {
        str(one.get("name")): str(one.get("of"))
        for one in (members if isinstance(members, list) else ())
        if isinstance(one, dict) and one.get("role") == "replica"
    }
