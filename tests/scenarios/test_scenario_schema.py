"""The JSON Schema: what it says, and that the shipped one is the models' own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from harness.scenario import DURATION_PATTERN, NAME_PATTERN, SHARE_PATTERN, ScenarioBase
from harness.scenario_file import SCHEMA_NAME, find_scenarios, load, schema, schema_of, schema_text, shipped_folder

REGENERATE = "huey-harness schema --output scenarios/scenario.schema.json"


def test_the_shipped_schema_is_in_step_with_the_models() -> None:
    shipped = shipped_folder() / SCHEMA_NAME
    in_step = shipped.is_file() and shipped.read_text() == schema_text()
    assert in_step, f"{SCHEMA_NAME} is not what the models say. Write it anew: {REGENERATE}"


def test_it_names_its_dialect_and_itself_without_an_address() -> None:
    made = schema()
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert made["$id"] == "urn:huey-harness:scenario:v1"
    assert made["title"]
    assert made["description"]


def every_field(made: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in {"": made, **made["$defs"]}.items():
        for field, within in part.get("properties", {}).items():
            yield f"{name}.{field}", within


def test_every_field_has_a_description() -> None:
    made = schema()
    bare = [
        name
        for name, field in every_field(made)
        if not (field.get("description") or "const" in field or "$ref" in field)
    ]
    assert bare == []


def test_references_lead_somewhere() -> None:
    made = schema()
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(made)))
    assert references
    assert all(ref.removeprefix("#/$defs/") in made["$defs"] for ref in references)


def test_a_fault_says_for_and_not_what_python_must_call_it(model: type[ScenarioBase]) -> None:
    fault = schema_of(model)["$defs"]["CutSpec"]
    assert {"for", "from"} <= set(fault["properties"])
    assert not {"for_", "from_"} & set(fault["properties"])
    assert fault["properties"]["target"]["enum"] == ["consumer", "minority"]
    assert fault["additionalProperties"] is False
    assert "kind" in fault["required"]


def test_durations_and_shares_are_text_with_a_pattern_and_so_are_their_defaults(model: type[ScenarioBase]) -> None:
    definitions = schema_of(model)["$defs"]
    duration = definitions["KillSpec"]["properties"]["for"]
    assert {"type": "string", "pattern": DURATION_PATTERN} in duration["anyOf"]
    assert duration["default"] == "3s"
    assert definitions["PlainSpec"]["properties"]["takes"]["default"] == ["0s", "4ms"]
    share = definitions["Trigger"]["properties"]["completed"]
    assert {"type": "string", "pattern": SHARE_PATTERN} in share["anyOf"]


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (DURATION_PATTERN, ["500ms", "3s", "2 min", "0.5h"], ["3", "-3s", "3 sec", "s", "1_0s", "3:30", ""]),
        (SHARE_PATTERN, ["40%", "12.5 %", "0%"], ["40", "%", "-4%", "0,4%"]),
        (NAME_PATTERN, ["a", "primary-loss", "7-up", "a" * 64], ["", "-a", "A", "a b", "a_b", "a" * 65]),
    ],
)
def test_patterns(pattern: str, good: list[str], bad: list[str]) -> None:
    assert all(re.search(pattern, text) for text in good)
    assert not any(re.search(pattern, text) for text in bad)


def test_shipped_scenarios_load() -> None:
    files = find_scenarios(None)
    assert len(files) >= 8
    for path in files:
        assert [scenario.name for scenario in load(path)] == [path.stem], "one scenario a file, and of its name"
