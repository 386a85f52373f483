"""Scenarios made of others: `extends`, and the `parameters` that `$name` stands for.

A scenario that extends another has all that the other says, and over that what it says itself: fields of mappings one
by one, all else (lists, values, a mapping of another `kind`) as a whole. `apiVersion` and `name` are always its own.
The other is named, never a path: it stands in the same file, or in `<name>.yaml` beside it, or is shipped. So nothing
outside these two folders is ever read, and what is read is bounded: EXTENDS_MAX files of 256 KiB.

A value that is `$name`, whole and without quotes, is replaced by that parameter's, a single value, before anything is
judged: a number stays a number, and what is wrong with it is said of the place where the parameter got it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from pathlib import Path

from harness.registry import did_you_mean
from harness.scenario import NAME_PATTERN
from harness.scenario_file.files import SUFFIXES, content, scenarios_in, shipped_folder
from harness.scenario_file.problems import Problem, ScenarioErrors
from harness.scenario_file.tree import Entry, Items, Mapping, Node, Scalar, named, parse, shown

#: The fields that are gone once a scenario is put together.
EXTENDS, PARAMETERS = "extends", "parameters"
#: How many scenarios one may be made of beside itself.
EXTENDS_MAX = 5
PARAMETER_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
_REFERENCE = re.compile(r"\$([a-z][a-z0-9_]{0,63})")
#: As other tools write it. Between braces of YAML's own it could not stand without quotes: `{rate: ${rate}}`.
_BRACED = re.compile(r"\$\{(.*)\}")
#: Fields by which a scenario, and what a mapping is, can be told before anything is put together.
NEVER_FILLED = frozenset({"apiVersion", "name", "kind"})
#: What a scenario does not take from the one that it extends.
_ITS_OWN = ("apiVersion", "name")


@dataclass(frozen=True)
class Source:
    """A file's documents, and the folder in which it lies; None for text that lies in none."""

    documents: Sequence[Node]
    folder: Path | None


def compose(document: Mapping, source: Source) -> Mapping:
    """The scenario put together. Raises ScenarioErrors with all that is wrong with how it is."""
    layers = _layers(document, source)
    whole = layers[-1]
    for layer in reversed(layers[:-1]):
        own = {name: entry for name, entry in whole.entries.items() if name not in _ITS_OWN}
        whole = _merged(Mapping(whole.place, own, whole.size, whole.height), layer)
    entries = dict(whole.entries)
    entries.pop(EXTENDS, None)
    problems: list[Problem] = []
    values = _parameters(entries.pop(PARAMETERS, None), problems)
    filled = _filled(Mapping(whole.place, entries, whole.size, whole.height), values, problems)
    assert isinstance(filled, Mapping)
    # One that a layer above has made superfluous is no mistake.
    used = {name for layer in layers for name in _references(layer)}
    for name, entry in values.items():
        if name not in used:
            meant = did_you_mean(name, used)
            problems.append(Problem(*entry.key.place, f"nothing refers to this parameter as ${name}.{meant}"))
    if problems:
        raise ScenarioErrors(problems)
    return filled


def name_of(document: Node) -> Scalar | None:
    """What a document calls itself, if that is text."""
    entry = document.entries.get("name") if isinstance(document, Mapping) else None
    value = entry.value if entry else None
    return value if isinstance(value, Scalar) and isinstance(value.value, str) else None


def _layers(document: Mapping, source: Source) -> list[Mapping]:
    """The scenario, that which it extends, that which this one extends, and so on. Raises ScenarioErrors."""
    layers = [document]
    while (entry := layers[-1].entries.get(EXTENDS)) is not None:
        name = entry.value
        if not isinstance(name, Scalar) or not re.fullmatch(NAME_PATTERN, str(name.value)):
            message = f"`{EXTENDS}` must be the name of a scenario, such as worker-crash, not {shown(name)}"
            raise ScenarioErrors([Problem(*name.place, message)])
        base, source = _base(name, layers[-1], source)
        if any(base.place == layer.place for layer in layers):
            names = " → ".join(found.text for layer in [*layers, base] if (found := name_of(layer)))
            raise ScenarioErrors([Problem(*name.place, f"these extend one another in a circle: {names}")])
        if len(layers) > EXTENDS_MAX:
            message = f"more than {EXTENDS_MAX} scenarios below one another; the first is {layers[0].place.file}"
            raise ScenarioErrors([Problem(*name.place, message)])
        layers.append(base)
    return layers


def _base(name: Scalar, of: Mapping, source: Source) -> tuple[Mapping, Source]:
    """The scenario of that name, and its source. Raises ScenarioErrors where there is none, or its file is no YAML."""
    found = _named(name.text, source.documents)
    if found is not None and found.place != of.place:
        return found, source
    shipped = shipped_folder()
    folders = [folder for folder in (source.folder, shipped) if folder is not None and folder.is_dir()]
    for folder in folders:
        for path in (folder / f"{name.text}{suffix}" for suffix in SUFFIXES):
            if not path.is_file():
                continue
            if path.resolve().parent != folder.resolve():
                raise ScenarioErrors([Problem(*name.place, f"{path.name} leads out of its folder")])
            documents, problems = parse(content(path), str(path))
            if problems:
                raise ScenarioErrors(problems)
            found = _named(name.text, documents)
            if found is None:
                raise ScenarioErrors([Problem(*name.place, f"{path} holds no scenario called {name.text}")])
            return found, Source(documents, folder)
    known = {each.text for each in map(name_of, source.documents) if each is not None}
    known |= {path.stem for folder in folders for path in scenarios_in(folder)}
    message = (
        f"there is no scenario {shown(name)}: not in this file, beside it, or shipped.{did_you_mean(name.text, known)}"
    )
    raise ScenarioErrors([Problem(*name.place, message)])


def _named(name: str, documents: Sequence[Node]) -> Mapping | None:
    for document in documents:
        found = name_of(document)
        if isinstance(document, Mapping) and found is not None and found.value == name:
            return document
    return None


def _merged(base: Mapping, over: Mapping) -> Mapping:
    entries = dict(base.entries)
    for name, entry in over.entries.items():
        below = base.entries.get(name)
        if (
            below is not None
            and isinstance(below.value, Mapping)
            and isinstance(entry.value, Mapping)
            and not _another_kind(below.value, entry.value)
        ):
            entry = Entry(entry.key, _merged(below.value, entry.value))
        entries[name] = entry
    return Mapping(over.place, entries, base.size + over.size, max(base.height, over.height))


def _another_kind(base: Mapping, over: Mapping) -> bool:
    kinds = [entry.value for each in (base, over) if (entry := each.entries.get("kind")) is not None]
    texts = [kind.text for kind in kinds if isinstance(kind, Scalar)]
    return len(texts) == 2 and texts[0] != texts[1]


def _parameters(entry: Entry | None, problems: list[Problem]) -> dict[str, Entry]:
    """The parameters that can be used, by name; the others are problems."""
    if entry is None:
        return {}
    if not isinstance(entry.value, Mapping):
        message = f"`{PARAMETERS}` must be a mapping of names to values, not {shown(entry.value)}"
        problems.append(Problem(*entry.value.place, message))
        return {}
    usable = {}
    for name, each in entry.value.entries.items():
        if not re.fullmatch(PARAMETER_PATTERN, name):
            message = f"a parameter's name is lower-case letters, digits and _, and {named(each.key)} is not"
            problems.append(Problem(*each.key.place, message))
        elif not isinstance(each.value, Scalar):
            message = f"the parameter {named(each.key)} must be a single value, not {shown(each.value)}"
            problems.append(Problem(*each.value.place, message))
        elif _referred(each.value):
            message = f"the parameter {named(each.key)} must be a value itself, not {shown(each.value)}"
            problems.append(Problem(*each.value.place, message))
        else:
            usable[name] = each
    return usable


def _filled(node: Node, values: MappingOf[str, Entry], problems: list[Problem]) -> Node:
    """The tree with the parameters' values in it; references to none are problems."""
    if isinstance(node, Items):
        return Items(node.place, [_filled(each, values, problems) for each in node.items], node.size, node.height)
    if isinstance(node, Mapping):
        entries = {
            name: entry if name in NEVER_FILLED else Entry(entry.key, _filled(entry.value, values, problems))
            for name, entry in node.entries.items()
        }
        return Mapping(node.place, entries, node.size, node.height)
    name = _referred(node)
    if name is not None and name in values:
        return values[name].value
    if name is not None:
        meant = did_you_mean(name, values)
        there = f"There are: {', '.join(values)}" if values else f"Give it a value under `{PARAMETERS}`"
        message = f"no parameter is called {name}.{meant} {there}; text that begins with $ must be in quotes"
        problems.append(Problem(*node.place, message))
    elif node.plain and (braced := _BRACED.fullmatch(node.text)):
        message = f"a parameter is written without braces, ${braced[1]}; text that begins with $ must be in quotes"
        problems.append(Problem(*node.place, message))
    return node


def _referred(node: Scalar) -> str | None:
    """The parameter that a value stands for; in quotes it stands for itself."""
    match = _REFERENCE.fullmatch(node.text) if node.plain else None
    return match[1] if match else None


def _references(node: Node) -> Iterator[str]:
    if isinstance(node, Scalar):
        name = _referred(node)
        if name is not None:
            yield name
        return
    parts = node.items if isinstance(node, Items) else [entry.value for entry in node.entries.values()]
    for part in parts:
        yield from _references(part)
