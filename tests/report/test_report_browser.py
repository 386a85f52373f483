"""The page in a real browser: it draws what it should, and its script does not fail."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.report.html import write_report
from harness.report.index import record_run
from harness.report.result import Result

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


def dom(path: Path, profile: Path, fragment: str = "") -> str:
    """The page's elements after its script has run."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", "--virtual-time-budget=4000", "--dump-dom", f"{path.as_uri()}{fragment}",
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_page_draws_everything_without_an_error(run: Path, tmp_path: Path) -> None:
    page = dom(write_report(run), tmp_path / "profile")
    root = re.search(r"<html[^>]*>", page)
    assert root is not None
    assert 'data-rendered="4"' in root[0] and "data-error" not in root[0]
    body = page.split("<body>", 1)[1]
    overview = body.split('aria-label="Overview"', 1)[1].split("</table>", 1)[0]
    assert overview.count("<tr>") == 1 + 4
    for word in ("✔ valid", "✘ invalid", "≈ known limits", "? unknown", "2,000"):
        assert word in overview
    # The first invalid result is open, on its first finding's story.
    assert "held by consumer-1 when it was killed at 1.50 s" in body
    assert "The story of task" in body and "execution began, and never ended" in body
    assert body.count('class="u-over"') == 4
    assert re.search(r'<canvas aria-hidden="true" width="\d{3,}"', body)


def test_hostile_text_is_shown_as_text(run: Path, tmp_path: Path) -> None:
    page = dom(write_report(run), tmp_path / "profile", "#r0")
    root = re.search(r"<html[^>]*>", page)
    assert root is not None and "data-error" not in root[0]
    assert "<img" not in re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page.split("<body>", 1)[1]


def test_a_run_without_results_fails_no_script(tmp_path: Path) -> None:
    folder = tmp_path / "20260801T101500Z-aa"
    folder.mkdir()
    page = dom(write_report(folder), tmp_path / "profile")
    assert 'data-rendered="0"' in page and "data-error" not in page.split("<body>", 1)[0]
    record_run(tmp_path, folder, [Result({"scenario": "steady", "backend": "cluster", "validity": "valid"})])
    assert "steady" in dom(tmp_path / "index.html", tmp_path / "profile-2")
