"""From a JSON Schema to words for people: what would be valid, and what a wrong value may have meant."""

from __future__ import annotations

import re
from typing import Any

from harness.registry import did_you_mean
from harness.scenario import DURATION_PATTERN, FORMS, NAME_PATTERN, SHARE_PATTERN
from harness.scenario_file.tree import Items, Mapping, Node, Scalar

Schema = dict[str, Any]

_UNDERSCORED = re.compile(r"[-+]?[0-9]+(_[0-9]+)+")
_SEXAGESIMAL = re.compile(r"([0-9]+):([0-5][0-9])")
_LEADING_ZEROS = re.compile(r"[-+]?0+([0-9]+)")
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")
_YES_OR_NO = {"yes": "true", "y": "true", "on": "true", "no": "false", "n": "false", "off": "false"}


def resolve(schema: Schema, definitions: Schema) -> Schema:
    """The schema itself, references followed, and `null` left aside where it is one of two."""
    while True:
        if "$ref" in schema:
            schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
            continue
        choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
        if len(choices) == 1:
            schema = choices[0]
            continue
        return schema


def describe(schema: Schema, definitions: Schema) -> str:
    """What is valid, to be read after `must be`; empty where the schema does not say."""
    schema = resolve(schema, definitions)
    for pattern in _patterns(schema, definitions):
        if pattern in FORMS:
            return FORMS[pattern]
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return _one_of([str(value) for value in schema["enum"]])
    if "discriminator" in schema:
        return f"a mapping with a `kind`, {_one_of(list(schema['discriminator']['mapping']))}"
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(filter(None, (describe(choice, definitions) for choice in choices)))
    match schema.get("type"):
        case "integer":
            return "a whole number" + _range(schema)
        case "number":
            return "a number" + _range(schema)
        case "boolean":
            return "true or false"
        case "string":
            return _text(schema)
        case "array":
            return _list(schema, definitions)
        case "object" if "properties" in schema:
            return f"a mapping of {', '.join(schema['properties'])}"
        case "object":
            return "a mapping"
    return ""


def hint(node: Node, schema: Schema, definitions: Schema) -> str:
    """A sentence (with a space before it) on what may have been meant, or nothing."""
    schema = resolve(schema, definitions)
    wanted = _types(schema, definitions)
    if isinstance(node, Scalar):
        return _hint_for_scalar(node, schema, definitions, wanted)
    if isinstance(node, Mapping) and wanted == {"array"}:
        return " Begin each item with `- `."
    if isinstance(node, Items) and len(node.items) == 1 and "array" not in wanted and "object" not in wanted:
        return " Write it without the brackets, or the `- ` before it."
    return ""


def _hint_for_scalar(node: Scalar, schema: Schema, definitions: Schema, wanted: set[str]) -> str:
    text = node.text
    if node.value is None:
        return " The value is missing; text that begins with # must be in quotes."
    if "enum" in schema:
        return did_you_mean(text, [str(value) for value in schema["enum"]])
    patterns = _patterns(schema, definitions)
    if wanted == {"array"} and isinstance(node.value, str):
        return f" Write [{text}]." if re.fullmatch(r"[\w-]+", text) else ""
    if isinstance(node.value, str) and not node.plain:
        number = wanted <= {"integer", "number"} and _NUMBER.fullmatch(text)
        return " Write it without quotes." if number else ""
    if SHARE_PATTERN in patterns and _NUMBER.fullmatch(text):
        return f" Write {float(text) * 100:g}%." if 0 < float(text) < 1 else f" Write {text}%."
    if DURATION_PATTERN in patterns:
        return _hint_for_duration(text)
    if NAME_PATTERN in patterns and isinstance(node.value, str):
        name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:64]
        return f" Write {name}." if name and name != text else ""
    if "boolean" in wanted and text.lower() in _YES_OR_NO:
        return f" Write {_YES_OR_NO[text.lower()]}: {text} is text in YAML 1.2."
    if wanted & {"integer", "number"} and isinstance(node.value, str):
        return _hint_for_number(text)
    if "string" in wanted and isinstance(node.value, bool):
        return " In quotes it would be text; yes and no are text without them."
    if "string" in wanted and not isinstance(node.value, str):
        return " Put it in quotes."
    return ""


def _hint_for_number(text: str) -> str:
    if _UNDERSCORED.fullmatch(text):
        return f" Write {text.replace('_', '')}: YAML 1.2 has no _ in numbers."
    zeros = _LEADING_ZEROS.fullmatch(text)
    if zeros:
        return f" Write {zeros[1]}, or 0o{zeros[1]} for an octal number."
    sexagesimal = _SEXAGESIMAL.fullmatch(text)
    if sexagesimal:
        total = int(sexagesimal[1]) * 60 + int(sexagesimal[2])
        return f" Write {total}: YAML 1.2 does not count in sixties."
    return ""


def _hint_for_duration(text: str) -> str:
    sexagesimal = _SEXAGESIMAL.fullmatch(text)
    if sexagesimal:
        return f" Write {int(sexagesimal[1]) * 60 + int(sexagesimal[2])}s: YAML 1.2 has no times such as {text}."
    number = text.replace("_", "")
    if _NUMBER.fullmatch(number) and not number.startswith("-"):
        return f" Write {number.removeprefix('+')}s, with the unit."
    return ""


def _types(schema: Schema, definitions: Schema) -> set[str]:
    """The JSON types that a schema allows."""
    schema = resolve(schema, definitions)
    choices = schema.get("anyOf") or schema.get("oneOf") or ()
    if choices:
        return set().union(*(_types(choice, definitions) for choice in choices))
    return {schema["type"]} if "type" in schema else set()


def _patterns(schema: Schema, definitions: Schema) -> set[str]:
    schema = resolve(schema, definitions)
    choices = schema.get("anyOf") or ()
    return {schema.get("pattern", "")}.union(*(_patterns(choice, definitions) for choice in choices))


def _one_of(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"one of {', '.join(values)}"


def _range(schema: Schema) -> str:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    bounds = []
    if low is not None:
        bounds.append(f"of at least {_number(low)}")
    if above is not None:
        bounds.append(f"above {_number(above)}")
    if high is not None:
        bounds.append(f"at most {_number(high)}")
    if below is not None:
        bounds.append(f"below {_number(below)}")
    return f" {' and '.join(bounds)}" if bounds else ""


def _number(value: float) -> str:
    return f"{value:.15g}"


def _text(schema: Schema) -> str:
    if "pattern" in schema:
        return f"text of the form {schema['pattern']}"
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    if shortest is not None and longest is not None:
        return f"text of {shortest} to {longest} characters"
    if longest is not None:
        return f"text of at most {longest} characters"
    return f"text of at least {shortest} characters" if shortest is not None else "text"


def _list(schema: Schema, definitions: Schema) -> str:
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least is not None and least == most:
        size = f" of {least}"
    elif least and most:
        size = f" of {least} to {most} items"
    elif most:
        size = f" of at most {most} items"
    else:
        size = f" of at least {least} item{'s' if least != 1 else ''}" if least else ""
    items = schema.get("prefixItems") or [schema.get("items", {})]
    each = describe(items[0], definitions) if all(item == items[0] for item in items) else ""
    return f"a list{size}{', each ' + each if each else ''}"
