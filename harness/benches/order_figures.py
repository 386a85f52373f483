"""Figures of the order checker for docs/checking.md: docs/order.json, and docs/order.svg drawn from it.

    python -m harness.benches.order_figures [porcupine] [by_size]

The benches that are named are run first (minutes); else what was measured is drawn again.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.benches.judged import order_by_size
from harness.benches.side_by_side import porcupine

FILE = Path("docs/order.json")
PICTURE = Path("docs/order.svg")
WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 44, 24, 48
#: Powers of ten at the ends of the axes: operations, and seconds.
X_FROM, X_TO = 2, 7
Y_FROM, Y_TO = -4, 2

#: (operations, seconds) each.
Points = Sequence[tuple[int, float]]

STYLE = """
svg { font: 13px system-ui, sans-serif; }
text { fill: #1f2328; }
line { stroke: #d1d9e0; }
polyline { fill: none; stroke-width: 2; }
circle { stroke-width: 2; }
polyline.law { stroke: #59636e; stroke-dasharray: 3 5; }
polyline.ours, circle.ours { stroke: #0550ae; }
polyline.theirs, circle.theirs { stroke: #bc4c00; }
circle.ours, text.ours { fill: #0550ae; }
circle.theirs, text.theirs { fill: #bc4c00; }
polyline.swapped { stroke-dasharray: 6 4; }
circle.stopped { fill: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #d1d7e0; }
  line { stroke: #3d444d; }
  polyline.law { stroke: #9198a1; }
  polyline.ours, circle.ours { stroke: #6cb6ff; }
  polyline.theirs, circle.theirs { stroke: #f69d50; }
  circle.ours, text.ours { fill: #6cb6ff; }
  circle.theirs, text.theirs { fill: #f69d50; }
  circle.stopped { fill: none; }
}
"""


def drawn(figures: dict[str, Any]) -> str:
    """The picture of these figures, as SVG; both axes logarithmic."""
    side = figures["porcupine"]["by_size"]
    ours = [(row["operations"], row["valid"]["ours_s"]) for row in side if row["operations"] < 10_000]
    ours += [(int(size), seconds) for size, seconds in figures["by_size"]["judge_cpu_s"].items()]
    lines = [*_axes(), *_law(ours), *_curve("ours", ours)]
    for name, dashes in (("valid", ""), ("swapped", " swapped")):
        seen = [(row["operations"], row[name]["porcupine_s"]) for row in side]
        stopped = [row[name]["porcupine"] == "unknown" for row in side]
        upto = stopped.index(True) + 1 if True in stopped else len(seen)
        lines += _curve(f"theirs{dashes}", seen[:upto], stopped=True in stopped)
        lines.append(_told("theirs", seen[upto - 1], f"Porcupine, {name}", dx=-56 if dashes else 10, dy=-12))
    lines.append(_told("ours", ours[-1], "order checker", dx=-96, dy=-12))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>Seconds of processor time by number of operations</title><style>{STYLE}</style>\n"
        + "\n".join(lines)
        + "\n</svg>\n"
    )


def _x(operations: float) -> float:
    share = (math.log10(operations) - X_FROM) / (X_TO - X_FROM)
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(seconds: float) -> float:
    share = (math.log10(max(seconds, 10.0**Y_FROM)) - Y_FROM) / (Y_TO - Y_FROM)
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _axes() -> Iterator[str]:
    for power in range(X_FROM, X_TO + 1):
        x = _x(10.0**power)
        yield f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10**power:,}</text>'
    for power in range(Y_FROM, Y_TO + 1):
        y = _y(10.0**power)
        yield f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{10.0**power:g} s</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">operations</text>'


def _law(ours: Points) -> Iterator[str]:
    """n log n, through what 10^5 operations take."""
    base = dict(ours)[10**5] / (10**5 * math.log2(10**5))
    sizes = [10.0 ** (power / 4) for power in range(4 * 4, 4 * X_TO + 1)]
    points = " ".join(f"{_x(size)},{_y(base * size * math.log2(size))}" for size in sizes)
    yield f'<polyline class="law" points="{points}"/>'
    yield _told("law", (3 * 10**6, base * 3 * 10**6 * math.log2(3e6)), "n log n", dx=12, dy=22)


def _curve(name: str, points: Points, *, stopped: bool = False) -> Iterator[str]:
    """A line through these points; the last one hollow where that is where somebody was stopped."""
    yield f'<polyline class="{name}" points="{" ".join(f"{_x(size)},{_y(s)}" for size, s in points)}"/>'
    for at, (size, seconds) in enumerate(points):
        hollow = " stopped" if stopped and at == len(points) - 1 else ""
        yield f'<circle class="{name.split()[0]}{hollow}" cx="{_x(size)}" cy="{_y(seconds)}" r="4"/>'


def _told(name: str, point: tuple[int, float], text: str, dx: int = 10, dy: int = 4) -> str:
    return f'<text class="{name}" x="{_x(point[0]) + dx:.1f}" y="{_y(point[1]) + dy:.1f}">{text}</text>'


def main(arguments: Sequence[str]) -> None:
    """Measure what is asked for, and draw."""
    benches = {"porcupine": porcupine, "by_size": order_by_size}
    figures = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name in arguments:
        figures[name] = benches[name]()
        FILE.write_text(json.dumps(figures, indent=1) + "\n")
    PICTURE.write_text(drawn(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
