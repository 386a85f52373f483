"""`report.html`: a run on one page that needs nothing but a browser."""

from __future__ import annotations

import html
import re
from pathlib import Path

from harness.report.files import write_whole
from harness.report.model import build
from harness.report.page import asset, document, vendored
from harness.report.shapes import RunModel, to_json
from harness.report.terminal import STANDINGS
from harness.report.text import number

#: The page's own script, in order; `assets` holds the parts.
SCRIPTS = (
    "dom.js", "axis.js", "select.js", "filter.js", "minimap.js",
    "timeline_frame.js", "timeline_spans.js", "timeline.js", "plots.js",
    "topology.js", "around.js", "story.js", "findings.js", "promised.js", "logs.js", "downloads.js",
    "result.js", "page.js",
)  # fmt: skip


def write_report(folder: Path) -> Path:
    """Draw the run in `folder` (its results lie in `<scenario>/<backend>/`) into `folder/report.html`.

    Whatever a result's folder lacks is said on the page. Raises HarnessError naming the file when it cannot be written.
    """
    path = folder / "report.html"
    # Surrogates cannot be encoded; JSON has them escaped already, so this is for names alone.
    write_whole(path, render(build(folder)).encode("utf-8", "replace"))
    return path


def render(model: RunModel) -> str:
    """The page of a run."""
    body = asset("report.html").replace("{{plain}}", html.escape(_plain(model)))
    return document(
        title=f"huey-harness: {model.run}",
        body=body,
        styles=[_uplot_css(), asset("page.css"), asset("report.css")],
        scripts=[_uplot(), _script()],
        data=to_json(model),
    )


def _script() -> str:
    """The page's own script: its parts share one scope, closed to the page."""
    return '"use strict";\n(() => {\n' + "\n".join(asset(name) for name in SCRIPTS) + "\n})();\n"


def _uplot() -> str:
    """uPlot with its licence, as that asks; without its first comment, whose address nothing here needs."""
    code = re.sub(r"\A/\*!.*?\*/\s*", "", vendored("uplot/uPlot.iife.min.js"), flags=re.S)
    return f"/*! uPlot\n{vendored('uplot/LICENSE')}*/\n{code}"


def _uplot_css() -> str:
    return vendored("uplot/uPlot.min.css")


def _plain(model: RunModel) -> str:
    """What a browser without scripts shows: every verdict with its sentences."""
    lines = []
    for result in model.results:
        lines.append(f"{STANDINGS[result.standing]}  {result.scenario} × {result.backend}")
        lines += [f"    {sentence}" for sentence in result.sentences]
        counts = [f"{name} {number(value)}" for name, value, _ in result.counts if value]
        lines += [f"    {', '.join(counts)}", f"    {result.replay}", ""]
    return "\n".join(lines)
