"""The trend in a real browser: from the runs' page into a run's report and back, and what axe-core says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.report.html import write_report
from harness.report.index import record_run
from harness.report.result import Result

from .chromium import needs_chromium, new_page, serious
from .conftest import EVIL
from .synthetic import invent, write_result

pytestmark = needs_chromium
RUNS = tuple(f"20260801T10{minute}00Z-ab12c{minute % 10}" for minute in range(10, 13))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: a scenario that is bad since the second, one that is well; and one of hostile names."""
    reports = tmp_path_factory.mktemp("reports")
    for number, name in enumerate(RUNS):
        run = reports / name
        folders = [
            write_result(run, invent(400, kill=number > 0), "worker-crash", "cluster-priority"),
            write_result(run, invent(400, kill=False), "steady", "cluster"),
        ]
        verdicts = [json.loads((folder / "verdict.json").read_text()) for folder in folders]
        hostile = {**verdicts[1], "scenario": EVIL, "backend": EVIL, "seed": EVIL, "versions": {"server": EVIL}}
        write_report(run)
        record_run(reports, run, [Result(verdict, 3.0) for verdict in (*verdicts, hostile)])
    return reports / "index.html"


@pytest.fixture
def page(browser: Any, index: Path) -> Iterator[Any]:
    page = new_page(browser)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto(index.as_uri())
    yield page
    page.context.close()


def row(page: Any, table: str, scenario: str) -> Any:
    return page.get_by_role("region", name=table).locator("tr", has=page.locator(f"th:text-is('{scenario}')"))


def test_a_verdict_leads_to_its_report_and_back(page: Any) -> None:
    row(page, "The newest verdicts", "worker-crash").get_by_role("link").first.click()
    page.locator("html[data-rendered='2']").wait_for(state="attached")
    assert RUNS[-1] in page.url
    assert "killed" in page.locator("body").inner_text()
    page.go_back()
    assert page.get_by_role("heading", name="The trend").is_visible()


def test_the_first_bad_run_is_one_click_away(page: Any) -> None:
    trend = row(page, "The trend", "worker-crash")
    assert [badge.inner_text() for badge in trend.locator("span[title]").all()] == ["✔", "✘", "✘"]
    trend.get_by_role("link", name=RUNS[1]).click()
    page.locator("html[data-rendered='2']").wait_for(state="attached")
    assert RUNS[1] in page.url


def test_links_are_reached_by_keyboard_in_their_order(page: Any) -> None:
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        if (href := page.evaluate("document.activeElement.getAttribute('href')")) is not None:
            reached.append(href)
    assert reached[: page.locator("a").count()] == [link.get_attribute("href") for link in page.locator("a").all()]
    page.locator("a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/report.html")


def test_hostile_names_are_text(page: Any) -> None:
    assert page.evaluate("document.images.length") == 0
    assert "</script><img src=x onerror=alert(1)>" in page.locator("main").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_serious_to_say(browser: Any, index: Path, scheme: str) -> None:
    page = new_page(browser, color_scheme=scheme, bypass_csp=True)
    page.goto(index.as_uri())
    found = serious(page)
    page.context.close()
    assert not found
