"""A reader's way through the page in a real browser, by mouse and by keyboard; and what axe-core says of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.history import log
from harness.report.html import write_report

from .chromium import api, needs_chromium, new_page, serious
from .conftest import EVIL
from .synthetic import MS, S, invent, write_result

pytestmark = needs_chromium

TWICE = 40
SERVER_LINE = "1:M 01 Aug 2026 10:15:01.400 # Cluster state changed: fail"
UNIX_S = 1_785_579_300  # 2026-08-01 10:15:00 UTC


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster that lost two tasks by a kill and ran another twice, under a partition; and a hostile result."""
    run = tmp_path_factory.mktemp("reports") / "20260801T101500Z-ab12cd"
    made = invent(2_000)
    made.span("consumer-0/w9", log.DEQUEUE, 2_000 * MS, 2_001 * MS, task=TWICE)
    made.span("consumer-0/w9", log.EXECUTE, 2_002 * MS, 2_010 * MS, task=TWICE)
    made.span("consumer-0/w9", log.COMPLETE, 2_011 * MS, 2_012 * MS, task=TWICE)
    logs = {"node-1": f"{SERVER_LINE} {EVIL}\nno time\n", "consumer-1": "2026-08-01 10:15:03,100 the other end\n"}
    folder = write_result(run, made, "worker-crash", "cluster-priority", logs=logs, failover=True)
    stored = json.loads((folder / "verdict.json").read_text())
    stored["checks"][0]["findings"].append({
        "anomaly": "duplicated", "tasks": [TWICE], "evidence": [], "faults": [1], "limit": None,
        "summary": f"task {TWICE} completed 2 times",
    })  # fmt: skip
    cut = {
        **stored["faults"][0],
        "kind": "partition",
        "target": "minority",
        "struck": ["node-1"],
        "classes": ["partition"],
    }
    stored["faults"].append({**cut, "links": [["node-1", "node-2"], ["node-2", "node-1"]]})
    (folder / "verdict.json").write_text(json.dumps(stored))
    roles = folder / "samples" / "roles.jsonl"
    roles.write_text(roles.read_text().replace('{"time_ns"', f'{{"unix_ns": {UNIX_S * S}, "time_ns"', 1))
    hostile = invent(400)
    folder = write_result(run, hostile, "steady", "cluster", asks=EVIL, logs={"node-1": EVIL}, replay=EVIL)
    (folder / "logs" / "<img src=x onerror=alert(2)>.txt").write_text(f"{SERVER_LINE} {EVIL}")
    stored = json.loads((folder / "verdict.json").read_text())
    for each in stored["checks"][0]["findings"]:
        each |= {"anomaly": EVIL, "summary": EVIL, "limit": EVIL}
    stored["faults"][0] |= {
        "kind": EVIL,
        "struck": [EVIL],
        "classes": [EVIL],
        "links": [[EVIL, "node-1"]],
        "proof": EVIL,
    }
    stored |= {"seed": EVIL, "versions": {EVIL: EVIL}, "reasons": [EVIL]}
    (folder / "verdict.json").write_text(json.dumps(stored))
    return write_report(run)


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    page = new_page(browser, accept_downloads=True)
    opened(page, report)
    yield page
    assert page.evaluate("document.documentElement.dataset.error") is None
    page.context.close()


def opened(page: Any, report: Path, fragment: str = "") -> None:
    page.goto(f"{report.as_uri()}{fragment}")
    page.locator("html[data-rendered='2']").wait_for(state="attached")


def result(page: Any, name: str = "worker-crash") -> Any:
    return page.locator(f"details.result:has(h3 > span:text-is('{name}'))")


def part(page: Any, title: str) -> Any:
    return result(page).locator(f"section:has(> h4:text-is('{title}'))")


def test_the_first_finding_is_open_with_its_story_its_sentence_and_its_seed(page: Any) -> None:
    body = result(page)
    assert re.search(r"2 tasks lost: acknowledged .*, held by consumer-1 when it was killed at", body.inner_text())
    assert body.locator(".seed").inner_text() == "7"
    assert "killed" in body.locator(".place").first.inner_text()
    body.locator(".replay button").click()
    body.locator(".replay button:text-is('Copied')").wait_for()


def test_one_key_jumps_to_the_lost_task_and_the_address_says_where(page: Any, report: Path) -> None:
    page.keyboard.press("n")
    status = result(page).locator(".timeline > .status")
    lost = re.search(r"finding 1 of 3, at .*: lost, task (\d+); .*consumer-1 was killed", status.inner_text())
    assert lost is not None
    api.expect(page).to_have_url(re.compile("from="))
    address = page.evaluate("location.hash")
    assert "finding=0.0" in address and "to=" in address
    page.keyboard.press("n")
    page.keyboard.press("n")
    assert f"duplicated, task {TWICE}" in status.inner_text()
    api.expect(page).to_have_url(re.compile("finding=1.0"))
    # Whoever is sent the address sees the same.
    shared = page.evaluate("location.hash")
    page.goto("about:blank")
    opened(page, report, shared)
    assert (
        result(page)
        .locator(".cluster[open] .choices [aria-pressed=true]")
        .last.inner_text()
        .startswith(f"task {TWICE}")
    )
    assert page.evaluate("location.hash") == shared


def test_executions_of_a_duplicate_stand_side_by_side(page: Any) -> None:
    result(page).locator(".cluster > summary:has-text('duplicated')").click()
    story = result(page).locator(".story.several")
    heads = story.locator("th").all_inner_texts()
    assert heads[:3] == ["index", "time", "elsewhere"]
    assert heads[3].startswith("execution 1: consumer-") and heads[4] == "execution 2: consumer-0/w9"
    ends = story.locator("tr:has-text('● completed')")
    assert [[cell.strip() for cell in row.locator("td").all_inner_texts()[2:]] for row in ends.all()] == [
        ["", "● completed", ""],
        ["", "", "● completed"],
    ]


def test_everything_around_a_finding_is_told(page: Any) -> None:
    panel = result(page).locator("details.around").first
    panel.locator("summary").click()
    counts = panel.locator("[role=status]").inner_text()
    told = {word: int(count.replace(",", "")) for count, word in re.findall(r"(\d[\d,]*) (\w+)", counts)}
    assert told["operations"] > 1_000 and told["events"] == 4 and told["changes"] >= 2 and told["log"] == 3
    panel.locator("button:text-is('faults')").click()
    assert "kill strikes consumer-1" in panel.inner_text()
    panel.locator("button:text-is('logs')").click()
    assert "Cluster state changed: fail" in panel.inner_text()


def test_the_filter_says_how_much_it_keeps_and_what_it_does_not_know(page: Any) -> None:
    box = result(page).locator(".filter")
    found = result(page).locator(".found")
    kept = {}
    for query in ("op:dequeue", "!op:dequeue", f"task:{TWICE}", f"task:{TWICE} worker:consumer-0/w9", "anomaly:lost"):
        box.fill(query)
        kept[query] = int(found.inner_text().split(" of ")[0].replace(",", ""))
    everything = int(re.sub(r"\D", "", found.inner_text().split(" of ")[1]))
    assert kept["op:dequeue"] + kept["!op:dequeue"] == everything
    assert kept[f"task:{TWICE}"] == 7 and kept[f"task:{TWICE} worker:consumer-0/w9"] == 3
    assert 0 < kept["anomaly:lost"] < 20
    api.expect(page).to_have_url(re.compile("filter=anomaly"))
    box.fill("color:red")
    assert "no field" in found.inner_text()


def test_topology_logs_and_plots_follow_the_window(page: Any) -> None:
    topology, logs = part(page, "Topology"), part(page, "Logs")
    topology.locator(".changes button").first.click()
    assert "✕ cut" in topology.inner_text() and "primary" in topology.inner_text()
    assert "the other end" in logs.inner_text()
    plot = part(page, "Over time").locator(".u-over").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40, steps=4)
    page.mouse.up()
    api.expect(page).to_have_url(re.compile("from="))
    window = [float(n) for n in re.findall(r"(?:from|to)=([\d.]+)", page.evaluate("location.hash"))]
    assert 0.5 < window[0] < 1.4 < window[1] < 2.5
    logs.locator("td:has-text('Cluster state changed: fail')").first.wait_for()
    api.expect(logs.locator(".loglines")).not_to_contain_text("the other end")
    said = topology.locator("label b").inner_text()
    assert float(said.split()[0]) == pytest.approx(sum(window) / 2, abs=0.02)


def test_every_part_is_reached_by_keyboard_and_downloads_hold_what_they_say(page: Any) -> None:
    body = result(page)
    for button in body.locator(".parts button").all():
        button.focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.textContent") == button.inner_text()
    body.locator(".filter").fill(f"task:{TWICE}")
    with page.expect_download() as caught:
        body.locator("button:text-is('Operations in view (CSV)')").click()
    lines = Path(caught.value.path()).read_text().splitlines()
    assert lines[0] == "start_s,length_s,worker,operation,task,ended" and len(lines) == 1 + 7
    body.locator("summary:has-text('beside this page')").click()
    href = body.locator(".files a").first.get_attribute("href")
    assert (Path(page.url.split("#")[0].removeprefix("file://")).parent / href).is_file()
    promised = part(page, "Promised and observed").inner_text()
    assert "no loss" in promised and "partition" in promised


def test_hostile_text_is_shown_and_nothing_of_it_runs(page: Any) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    body = result(page, "steady")
    body.locator("summary").first.click()
    for summary in body.locator("details > summary").all():
        if summary.is_visible():
            summary.click()
    page.keyboard.press("n")
    body.locator(".filter").fill("<img src=x onerror=alert(3)>")
    assert body.locator("img, script, iframe").count() == 0
    assert "</script><img src=x onerror=alert(1)>" in body.inner_text()
    assert page.evaluate("document.images.length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_serious_to_say(browser: Any, report: Path, scheme: str) -> None:
    page = new_page(browser, color_scheme=scheme, bypass_csp=True)
    opened(page, report)
    for details in result(page).locator("details").all():
        details.evaluate("node => { node.open = true; }")
    found = serious(page)
    page.context.close()
    assert not found
