"""The JSON Schema (2020-12) of scenario files, made from the models that files are held against.

It is shipped beside the scenarios, as `scenarios/scenario.schema.json`, so that a scenario's first line

    # yaml-language-server: $schema=scenario.schema.json

finds it without a network in a checkout, in an installed wheel and in a project of one's own, into whose
`scenarios/` folder `huey-harness new scenario` puts a copy. After a change of the models, and to take up
kinds that other distributions registered, `huey-harness schema --output scenarios/scenario.schema.json`
writes it anew.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from harness.scenario import API_VERSION, DURATION_PATTERN, NAME_PATTERN, ScenarioBase, scenario_model
from harness.scenario_file.editor_schema import for_editors
from harness.scenario_file.extending import EXTENDS, PARAMETER_PATTERN, PARAMETERS
from harness.scenario_file.words import resolve

SCHEMA_NAME = "scenario.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: A name, not an address: nothing is to be fetched.
_ID = "urn:huey-harness:scenario:v1"
#: What stands in files, and no longer in a scenario that was put together.
_ONLY_IN_FILES: dict[str, Any] = {
    EXTENDS: {
        "type": "string",
        "pattern": NAME_PATTERN,
        "description": "the scenario that has all that this one does not say: of this file, of the file of that name "
        "beside it, or a shipped one",
    },
    PARAMETERS: {
        "type": "object",
        "description": "values by name; where a value is $name, without quotes, that one stands",
        "propertyNames": {"pattern": PARAMETER_PATTERN},
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    },
}


def schema() -> dict[str, Any]:
    """The schema of scenario files, as editors check them, with all faults and workloads that are registered here."""
    return for_editors(schema_of(scenario_model()))


def schema_text() -> str:
    """The schema as the shipped file holds it."""
    return json.dumps(schema(), indent=2) + "\n"


@functools.cache
def schema_of(model: type[ScenarioBase]) -> dict[str, Any]:
    """The schema of one such model, with the fields that only files have. The result is shared: do not change it."""
    made = model.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = made.get("$defs", {})
    for part in (made, *definitions.values()):
        for field in part.get("properties", {}).values():
            _tidy(field, definitions)
    _require_kinds(made, definitions)
    made.pop("title", None)
    made["properties"] |= _ONLY_IN_FILES
    return {
        "$schema": _DIALECT,
        "$id": _ID,
        "title": f"A scenario of huey-harness ({API_VERSION})",
        "description": made.pop("description", ""),
        **made,
    }


def _tidy(field: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Leave out titles that only repeat the name, and write defaults as a file would."""
    field.pop("title", None)
    if "default" not in field:
        return
    if isinstance(field["default"], dict) or field["default"] is None:
        # What a mapping defaults to is said by its own fields; nothing is what leaving out is.
        del field["default"]
    else:
        field["default"] = _as_written(field["default"], field, definitions)


def _as_written(default: Any, field: dict[str, Any], definitions: dict[str, Any]) -> Any:
    field = resolve(field, definitions)
    if isinstance(default, (list, tuple)):
        places = field.get("prefixItems") or [field.get("items", {})] * len(default)
        return [_as_written(value, place, definitions) for value, place in zip(default, places, strict=True)]
    durations = any(choice.get("pattern") == DURATION_PATTERN for choice in (field, *field.get("anyOf", ())))
    if durations and isinstance(default, float):
        return f"{default:g}s" if default >= 1 or default == 0 else f"{default * 1000:g}ms"
    return default


def _require_kinds(made: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Where kinds are told apart by `kind`, it must be there, also if a model has a default for it."""
    fields = [field for part in (made, *definitions.values()) for field in part.get("properties", {}).values()]
    for field in fields:
        union = field.get("items", field)
        for reference in union.get("discriminator", {}).get("mapping", {}).values():
            kind = definitions[reference.removeprefix("#/$defs/")]
            if "kind" not in kind.setdefault("required", []):
                kind["required"].insert(0, "kind")
            kind["properties"]["kind"].pop("default", None)
