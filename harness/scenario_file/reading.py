"""Reading scenario files: from bytes to `Scenario` objects, or to all that is wrong with them."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.registry import nearest
from harness.scenario import Scenario, ScenarioBase, scenario_model
from harness.scenario_file.extending import Source, compose, name_of
from harness.scenario_file.files import content
from harness.scenario_file.json_schema import schema_of
from harness.scenario_file.problems import Place, Problem, ScenarioErrors
from harness.scenario_file.tree import Items, Mapping, Node, Scalar, named, parse, plain_data, shown
from harness.scenario_file.words import Schema, describe, hint, resolve

#: Errors of pydantic that the schema's own words explain better; also all that end in `_type` or `_parsing`.
_SAID_BY_SCHEMA = frozenset(
    {
        "literal_error", "enum", "greater_than", "greater_than_equal", "less_than", "less_than_equal",
        "string_too_short", "string_too_long", "string_pattern_mismatch", "too_short", "too_long",
        "int_from_float", "int_parsing_size", "multiple_of", "finite_number",
    }
)  # fmt: skip


def load(path: Path) -> list[Scenario]:
    """The scenarios of a file, one for each YAML document. Raises ScenarioErrors, all problems at once."""
    return read_scenarios(content(path), str(path), folder=path.parent)


def load_all(paths: Iterable[Path]) -> dict[Path, list[Scenario]]:
    """The scenarios of several files. Raises ScenarioErrors with the problems of all of them."""
    loaded: dict[Path, list[Scenario]] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            loaded[path] = load(path)
        except ScenarioErrors as errors:
            problems.extend(errors.problems)
    if problems:
        # What is wrong with one that several extend is said once.
        raise ScenarioErrors(dict.fromkeys(problems))
    return loaded


def read_scenarios(
    data: bytes, file: str, model: type[ScenarioBase] | None = None, *, folder: Path | None = None
) -> list[Scenario]:
    """The scenarios in a file's content, put together with what they extend. Raises ScenarioErrors.

    `file` is the name that problems carry; `model` what the content is held against, by default the one with
    every registered fault and workload; `folder` where scenarios lie that it may extend, beside those that are shipped.
    """
    documents, problems = parse(data, file)
    scenarios: list[Scenario] = []
    # Where the text itself is wrong, what it was taken for is not judged.
    reader = _Reader(model or scenario_model(), {(p.file, p.line, p.column) for p in problems})
    source = Source(documents, folder)
    for document in documents:
        try:
            scenarios.append(reader.scenario(_mapping(document), source))
        except ScenarioErrors as errors:
            problems.extend(errors.problems)
    problems.extend(_repeated_names(documents))
    if problems:
        raise ScenarioErrors(sorted(dict.fromkeys(problems)))
    return scenarios


def _mapping(document: Node) -> Mapping:
    if not isinstance(document, Mapping):
        raise ScenarioErrors([Problem(*document.place, _no_scenario(document))])
    return document


def _repeated_names(documents: Sequence[Node]) -> list[Problem]:
    first: dict[str, Place] = {}
    problems = []
    for document in documents:
        name = name_of(document)
        if name is None:
            continue
        if name.text in first:
            before = first[name.text]
            message = (
                f"two scenarios of this file are called {shown(name)}; "
                f"the first on line {before.line}, column {before.column}"
            )
            problems.append(Problem(*name.place, message))
        else:
            first[name.text] = name.place
    return problems


@dataclass(frozen=True)
class _Spot:
    """Where an error's path leads: the value, the field that holds it, and what the schema says of both."""

    #: The steps that lead there.
    path: tuple[str | int, ...]
    node: Node
    schema: Schema
    label: str
    #: The mapping around it, its schema, and the field's name there.
    parent: Mapping | None
    parent_schema: Schema
    name: str
    #: Whether the path ends at a field that is not there.
    absent: bool = False


class _Reader:
    """Holds documents of one file against a model and words what does not fit."""

    def __init__(self, model: type[ScenarioBase], settled: set[tuple[str, int, int]]) -> None:
        self.model = model
        #: Places that a problem was reported for before.
        self.settled = settled

    @functools.cached_property
    def schema(self) -> Schema:
        """What errors are worded by: it takes a while to make, and who has none does without."""
        return schema_of(self.model)

    @property
    def definitions(self) -> Schema:
        """What its references lead to."""
        definitions: Schema = self.schema.get("$defs", {})
        return definitions

    def scenario(self, written: Mapping, source: Source) -> Scenario:
        """The document as a scenario. Raises ScenarioErrors."""
        document = compose(written, source)
        # As JSON, strict: the text "5" is no number and true is no 1, but a list is good for a tuple.
        data = plain_data(document)
        try:
            return self._validated(data)
        except ValidationError as error:
            found: list[Any] = list(error.errors(include_url=False))
        if self._guess_kinds(document, data, found):
            # What else is wrong with a fault shows only once its kind is known.
            try:
                self._validated(data)
            except ValidationError as error:
                found += error.errors(include_url=False)
        raise ScenarioErrors(self._problems(document, found))

    def _validated(self, data: Any) -> Scenario:
        return self.model.model_validate_json(json.dumps(data), strict=True, by_alias=True, by_name=False)

    def _guess_kinds(self, document: Mapping, data: Any, errors: Sequence[Any]) -> bool:
        """Put right, in `data`, kinds that were only misspelt; whether there were any."""
        guessed = False
        for error in errors:
            if error["type"] not in ("union_tag_invalid", "union_tag_not_found"):
                continue
            spot = self._walk(document, error["loc"], error["type"])
            part = data
            for step in spot.path:
                part = part[step]
            kinds = resolve(spot.schema, self.definitions)["discriminator"]["mapping"]
            misspelt = "kind" if "kind" in part else next((key for key in part if nearest(key, ["kind"])), "")
            kind = nearest(str(part.get(misspelt)), kinds)
            if kind:
                del part[misspelt]
                part["kind"] = kind
                guessed = True
        return guessed

    def _problems(self, document: Mapping, errors: Sequence[Any]) -> list[Problem]:
        spots = [(error, self._walk(document, error["loc"], error["type"])) for error in errors]
        # A field that was only misspelt is not reported as missing as well.
        meant = {
            (id(spot.parent), self._suggestion(spot)) for error, spot in spots if error["type"] == "extra_forbidden"
        }
        problems = []
        for error, spot in spots:
            if spot.absent and (id(spot.node), spot.name) in meant:
                continue
            place, message = self._reworded(error, spot)
            if place not in self.settled:
                problems.append(Problem(*place, message))
        return problems

    def _walk(self, document: Mapping, path: Sequence[str | int], error_type: str) -> _Spot:
        """Follow pydantic's path through the tree and the schema alike.

        Parts of the path that name a branch of a union, and not a field, lead nowhere in the tree.
        """
        node: Node = document
        schema: Schema = self.schema
        label, name = "the scenario", ""
        taken: list[str | int] = []
        parent: Mapping | None = None
        parent_schema: Schema = {}
        for step, part in enumerate(path):
            schema = resolve(schema, self.definitions)
            branch = self._branch(schema, part) if isinstance(node, Mapping) else None
            if branch is not None:
                schema = branch
            elif isinstance(part, int) and isinstance(node, Items) and part < len(node.items):
                label = f"an item of {label}"
                places = schema.get("prefixItems", ())
                schema = places[part] if part < len(places) else schema.get("items") or {}
                node = node.items[part]
                taken.append(part)
            elif isinstance(part, str) and isinstance(node, Mapping):
                entry = node.entries.get(part)
                if entry is None:
                    if error_type != "missing" or step < len(path) - 1:
                        continue
                    within = schema.get("properties", {}).get(part, {})
                    return _Spot(tuple(taken), node, within, label, parent, schema, part, absent=True)
                parent, parent_schema, name, label = node, schema, part, f"`{part}`"
                within = schema.get("properties", {}).get(part)
                if within is None:
                    label = named(entry.key)
                    other = schema.get("additionalProperties")
                    within = other if isinstance(other, dict) else {}
                node, schema = entry.value, within
                taken.append(part)
        return _Spot(tuple(taken), node, schema, label, parent, parent_schema, name)

    def _branch(self, schema: Schema, part: str | int) -> Schema | None:
        """The branch of a union that `part` names, if it names one."""
        mapping = schema.get("discriminator", {}).get("mapping", {})
        if part in mapping:
            return {"$ref": mapping[part]}
        for choice in schema.get("anyOf", ()):
            if choice.get("$ref", "").removeprefix("#/$defs/") == part:
                return dict(choice)
        return None

    def _reworded(self, error: Any, spot: _Spot) -> tuple[Place, str]:
        kind: str = error["type"]
        if kind == "extra_forbidden" and spot.parent is not None:
            return spot.parent.entries[spot.name].key.place, self._unknown_field(spot)
        if kind == "union_tag_invalid" and isinstance(spot.node, Mapping) and "kind" in spot.node.entries:
            value = spot.node.entries["kind"].value
            kinds = {"enum": list(resolve(spot.schema, self.definitions)["discriminator"]["mapping"])}
            return value.place, self._wrong("`kind`", value, kinds)
        if kind == "union_tag_not_found" and isinstance(spot.node, Mapping):
            return self._without_kind(spot.node, resolve(spot.schema, self.definitions))
        if spot.absent:
            return spot.node.place, self._missing(spot)
        if kind == "missing":  # of a list that is too short
            return spot.node.place, self._wrong(spot.label, spot.node, spot.schema)
        if kind in ("value_error", "assertion_error"):
            said = str(error["ctx"]["error"])
            if said.startswith("must "):
                tip = hint(spot.node, spot.schema, self.definitions)
                return spot.node.place, f"{spot.label} {said}, not {shown(spot.node)}.{tip}".removesuffix(".")
            return spot.node.place, f"{spot.label}: {said}"
        valid = kind in _SAID_BY_SCHEMA or kind.endswith(("_type", "_parsing"))
        if valid and describe(spot.schema, self.definitions):
            return spot.node.place, self._wrong(spot.label, spot.node, spot.schema)
        return spot.node.place, f"{spot.label}: {error['msg']}, not {shown(spot.node)}"

    def _wrong(self, label: str, node: Node, schema: Schema) -> str:
        valid = describe(schema, self.definitions)
        tip = hint(node, schema, self.definitions)
        return f"{label} must be {valid}, not {shown(node)}.{tip}".removesuffix(".")

    def _missing(self, spot: _Spot) -> str:
        about = spot.schema.get("description") or ""
        valid = describe(spot.schema, self.definitions)
        more = "; ".join(filter(None, (about, valid)))
        return f"`{spot.name}` is missing" + (f" ({more})" if more else "")

    def _unknown_field(self, spot: _Spot) -> str:
        assert spot.parent is not None
        key = spot.parent.entries[spot.name].key
        fields = list(spot.parent_schema.get("properties", ()))
        suggestion = self._suggestion(spot)
        meant = f" Did you mean `{suggestion}`?" if suggestion else ""
        return f"unknown field {named(key)}.{meant} There are: {', '.join(fields)}"

    def _suggestion(self, spot: _Spot) -> str:
        """The field that an unknown one was meant for, if it can be told."""
        assert spot.parent is not None
        fields = spot.parent_schema.get("properties", {})
        return nearest(spot.name, [field for field in fields if field not in spot.parent.entries])

    def _without_kind(self, node: Mapping, schema: Schema) -> tuple[Place, str]:
        kinds = ", ".join(schema["discriminator"]["mapping"])
        for name, entry in node.entries.items():
            if nearest(name, ["kind"]):
                message = f"unknown field {named(entry.key)}. Did you mean `kind`? Kinds are: {kinds}"
                return entry.key.place, message
        return node.place, f"`kind` is missing; kinds are: {kinds}"


def _no_scenario(document: Node) -> str:
    if isinstance(document, Items):
        return "a scenario is a mapping of fields, not a list; several scenarios are parted by lines of ---"
    if isinstance(document, Scalar) and document.value is None:
        return "there is nothing in this document; take away the --- before it"
    return f"a scenario is a mapping of fields such as `name: primary-loss`, not {shown(document)}"
