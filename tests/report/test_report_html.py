"""One page, nothing from outside, nothing from the model acted upon."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
from pathlib import Path

import pytest

from harness.protocols import HarnessError
from harness.report.html import SCRIPTS, render, write_report
from harness.report.model import SPANS_MAX, build
from harness.report.page import asset, document, json_for_script, vendored

from .conftest import EVIL
from .synthetic import invent, write_result


class Elements(html.parser.HTMLParser):
    """What a browser would find in the page: elements, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[tuple[str, str]] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            kind = dict(attrs).get("type") or tag
            self.inline.append((kind, ""))
            self._open = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open:
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            kind, text = self.inline[-1]
            self.inline[-1] = (kind, text + data)


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return write_report(run).read_text("utf-8")


def test_it_is_written_beside_the_results(run: Path) -> None:
    path = write_report(run)
    assert path == run / "report.html"
    assert not list(run.glob(".*"))


def test_hostile_text_stays_text(page: str) -> None:
    elements = Elements(page)
    assert not [tag for tag, _ in elements.tags if tag == "img"]
    assert not [attrs for _, attrs in elements.tags if any(name.startswith("on") for name in attrs)]
    assert [kind for kind, _ in elements.inline] == ["style", "style", "style", "application/json", "script", "script"]
    model = json.loads(dict(elements.inline)["application/json"])
    assert any("</script><img src=x onerror=alert(1)>" in result["asks"] for result in model["results"])
    assert "\x1b" not in page and "\x00" not in page


def test_the_data_holds_nothing_that_html_or_script_acts_on(page: str) -> None:
    data = page.split('id="model">', 1)[1].split("</script>", 1)[0]
    assert not re.search("[<>&\u2028\u2029]", data)
    assert json.loads(json_for_script(json.dumps(EVIL, ensure_ascii=False))) == EVIL


def test_braces_in_the_model_are_not_filled_in() -> None:
    page = document(title="{{data}}", body="{{title}}", styles=["a{}"], scripts=[], data='"{{scripts}}"')
    assert "<title>{{data}}</title>" in page and "{{title}}" in page and '"{{scripts}}"' in page


def test_the_policy_allows_these_very_scripts_and_styles_and_nothing_else(page: str) -> None:
    elements = Elements(page)
    policy = next(a["content"] for t, a in elements.tags if a.get("http-equiv") == "Content-Security-Policy") or ""
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'" and parts["base-uri"] == "'none'" and parts["form-action"] == "'none'"
    for kind, directive in (("script", "script-src"), ("style", "style-src")):
        hashes = [
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for each, text in elements.inline
            if each == kind
        ]
        assert parts[directive].split(" ") == hashes
    assert "unsafe" not in policy and "http" not in policy


def test_nothing_is_fetched_from_anywhere(page: str) -> None:
    elements = Elements(page)
    for tag, attrs in elements.tags:
        assert not set(attrs) & {"src", "href", "srcset", "data", "action", "style"}, (tag, attrs)
    assert not re.search(r"https?://|@import|url\(", page)


def test_the_page_script_never_makes_markup_of_text() -> None:
    for name in SCRIPTS:
        markup = re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", asset(name))
        assert markup is None, name


def test_the_licence_of_what_is_inlined_comes_along(page: str) -> None:
    assert vendored("uplot/LICENSE").strip() in page


def test_a_long_run_makes_no_long_page(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_result(folder, invent(37_500), "worker-crash", "cluster")
    model = build(folder)
    assert model.results[0].timeline.total > 7 * SPANS_MAX
    assert len(model.results[0].timeline.start) <= SPANS_MAX
    assert len(render(model)) < 1_500_000
    assert "operations are drawn singly" in render(model)


def test_a_run_without_results_has_a_page(tmp_path: Path) -> None:
    assert "huey-harness" in write_report(tmp_path).read_text("utf-8")


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(HarnessError, match=r"cannot write .*report\.html") as caught:
        write_report(tmp_path)
    assert "--huey-report" in caught.value.remedy
    assert not list(tmp_path.glob(".*"))
