"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _unseen_by_github() -> Iterator[None]:
    """What tests run, and mean to fail, is neither annotated nor summed up where these tests themselves run in CI."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("GITHUB_ACTIONS", raising=False)
        patched.delenv("GITHUB_STEP_SUMMARY", raising=False)
        yield
