"""A real browser, and what axe-core says of a page in it.

Needs Chromium (`apt-get install chromium`) and the dependency group `browser`, which brings Playwright and axe-core:
whoever imports this is skipped where they are missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

api = pytest.importorskip("playwright.sync_api", reason="no Playwright here: pip install --group browser")
axe = pytest.importorskip("axe_playwright_python.base", reason="no axe-core here: pip install --group browser")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


@contextmanager
def launched() -> Iterator[Any]:
    """Chromium, until it is no more needed."""
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


def new_page(browser: Any, **options: Any) -> Any:
    """A page without a network; `close` its context when it is done with."""
    return browser.new_context(offline=True, viewport={"width": 1280, "height": 900}, **options).new_page()


def serious(page: Any) -> list[Any]:
    """What axe-core finds serious or critical: impact, rule and some elements. The page must have bypass_csp."""
    page.evaluate(axe.AXE_SCRIPT)
    found = page.evaluate("""axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations.map(
        ({ id, impact, nodes }) => [impact, id, nodes.slice(0, 3).map((node) => node.html.slice(0, 160))]))""")
    return [each for each in found if each[0] in ("serious", "critical")]
