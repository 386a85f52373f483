"""docs/reference.md is what its generator makes of the program, and leaves nothing out that is registered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.backends import BACKENDS
from harness.checkers import CHECKERS
from harness.faults import FAULTS
from harness.plugin import OPTIONS
from harness.reference_doc import render
from harness.registry import Registry
from harness.scenario import ScenarioBase
from harness.workloads import WORKLOADS

PAGE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()


def test_the_page_is_what_the_generator_makes() -> None:
    assert render() == PAGE, "run: python -m harness.reference_doc"


@pytest.mark.parametrize("registry", [BACKENDS, CHECKERS, FAULTS, WORKLOADS])
def test_all_that_is_registered_is_in_it(registry: Registry[object]) -> None:
    told = set(re.findall(r"^(?:\| |### )`([\w-]+)`", PAGE, re.MULTILINE))
    assert set(registry.names()) <= told


def test_every_option_and_field_is_in_it() -> None:
    assert [name for name, _, _ in OPTIONS if f"| `--huey-{name}` |" not in PAGE] == []
    assert [name for name in ScenarioBase.model_fields if f"| `{name}` |" not in PAGE] == []
    assert "| `extends` |" in PAGE
