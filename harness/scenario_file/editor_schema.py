"""What editors check a file against while it is written: the models' schema, and what only files have.

That is `extends`, under which a file need not say all, and `$name` wherever a single value stands but for names and
kinds (see `extending`). An editor reads no other file: what it cannot know it lets pass, and `huey-harness lint`
judges it.
"""

from __future__ import annotations

import copy
from typing import Any

from harness.scenario_file.extending import EXTENDS, NEVER_FILLED, PARAMETER_PATTERN, PARAMETERS

Schema = dict[str, Any]

_REFERENCE = {"$ref": "#/$defs/Reference"}
_NEVER_A_PARAMETER = NEVER_FILLED | {EXTENDS, PARAMETERS}
#: What a scenario that extends another may leave out.
_INHERITED = frozenset({"asks", "workload"})


def for_editors(made: Schema) -> Schema:
    """The same schema with both."""
    made = copy.deepcopy(made)
    definitions: Schema = made["$defs"]
    for part in (made, *definitions.values()):
        for name, field in part.get("properties", {}).items():
            if name not in _NEVER_A_PARAMETER:
                part["properties"][name] = _or_reference(field)
    definitions["Reference"] = {
        "description": "a parameter's value",
        "type": "string",
        "pattern": PARAMETER_PATTERN.replace("^", r"^\$"),
    }
    nemesis = definitions["Nemesis"]
    definitions["NemesisInPart"] = {key: value for key, value in nemesis.items() if key not in ("required", "title")}
    whole, part = ({name: made["properties"][name] for name in ("workload", "nemesis")} for _ in range(2))
    part["workload"] = _workload_in_part(whole["workload"], definitions)
    part["nemesis"] = {"anyOf": [{"$ref": "#/$defs/NemesisInPart"}, {"type": "null"}]}
    for name, field in whole.items():
        made["properties"][name] = {"description": field.get("description", definitions["Nemesis"]["description"])}
    inherited = [name for name in made["required"] if name in _INHERITED]
    made["required"] = [name for name in made["required"] if name not in _INHERITED]
    made["if"] = {"required": [EXTENDS]}
    made["then"] = {"properties": part}
    made["else"] = {"properties": whole, "required": inherited}
    return made


def _or_reference(field: Schema) -> Schema:
    """The field, and in its lists each item, with a reference as a further choice where it is a single value."""
    if "items" in field:
        return {**field, "items": _or_reference(field["items"])}
    if "prefixItems" in field:
        return {**field, "prefixItems": [_or_reference(item) for item in field["prefixItems"]]}
    if "anyOf" in field:
        choices = [_or_reference(choice) if "items" in choice else choice for choice in field["anyOf"]]
        return {**field, "anyOf": [*choices, _REFERENCE] if any(map(_is_single, choices)) else choices}
    if not _is_single(field):
        return field
    about = {key: value for key, value in field.items() if key in ("description", "default")}
    rest = {key: value for key, value in field.items() if key not in about}
    return {**about, "anyOf": [rest, _REFERENCE]}


def _is_single(field: Schema) -> bool:
    return field.get("type") in ("integer", "number", "boolean", "string", "null")


def _workload_in_part(whole: Schema, definitions: Schema) -> Schema:
    """A workload, or without a `kind` some fields of whichever it is that is inherited."""
    kinds = [definitions[choice["$ref"].removeprefix("#/$defs/")] for choice in whole["oneOf"]]
    fields = {name: field for kind in kinds for name, field in kind["properties"].items() if name != "kind"}
    some = {
        "type": "object",
        "properties": {name: {"description": field.get("description", "")} for name, field in fields.items()},
        "additionalProperties": False,
    }
    return {
        "description": whole["description"],
        "anyOf": [{key: whole[key] for key in ("oneOf", "discriminator")}, some],
    }
