"""Makes docs/reference.md from the registries, the models of scenario files, the plugin's options and the commands.

python -m harness.reference_doc
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.backends import BACKENDS, Backend
from harness.checkers import CHECKERS
from harness.cli import build_parser
from harness.faults import FAULTS
from harness.plugin import DEFAULTS, OPTIONS
from harness.protocols import KnownLimit
from harness.runtimes.servers import SERVERS
from harness.scenario import FORMS, SHARE_PATTERN, WorkloadSpec, scenario_model
from harness.scenario_file.json_schema import schema_of
from harness.scenario_file.words import describe, resolve
from harness.workloads import WORKLOADS

PAGE = Path("docs/reference.md")

_HEAD = """\
# Reference

Made by `python -m harness.reference_doc` from the program itself; not written by hand. What this machine has of it is
told by `huey-harness list` and `huey-harness doctor`.
"""
#: The mappings of a scenario file, under the names that lead to them.
_PARTS = {
    "topology": "TopologySpec",
    "consumers": "Consumers",
    "liveness": "Liveness",
    "nemesis": "Nemesis",
    "a fault's `at`": "Trigger",
    "a fault's `repeat`": "Repeat",
}


def render() -> str:
    """The page."""
    sections = {
        "Options of pytest": _options(),
        "Commands": _commands(),
        "Servers": _servers(),
        "Backends": _backends(),
        "Known limits": _limits(),
        "Scenario files": _scenario_files(),
        "Workloads": _workloads(),
        "Faults": _faults(),
        "Checkers": _checkers(),
    }
    return "\n".join([_HEAD, *(f"## {heading}\n\n" + "\n".join(parts) for heading, parts in sections.items())])


def _options() -> Iterator[str]:
    yield "Each is an ini key too: `--huey-x` is `huey_x`. Repeatable ones are lists there, an entry a line.\n"
    rows = ([f"`--huey-{name}`", text, DEFAULTS.get(name, "")] for name, text, _ in OPTIONS)
    yield _table(["option", "", "default"], rows)


def _commands() -> Iterator[str]:
    yield "`huey-harness --help`, and `--help` of each, say the same.\n"
    yield _table(["command", "does"], ([f"`huey-harness {usage}`", told] for usage, told in _usages(build_parser())))


def _usages(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """The commands below a parser, with what they take, and what they do."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            about = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, below in action.choices.items():
                takes = [one for one in map(_usage, below._actions) if one]
                further = list(_usages(below))
                if further:
                    yield from ((f"{name} {usage}", told) for usage, told in further)
                else:
                    yield " ".join([name, *takes]), about[name]


def _usage(action: argparse.Action) -> str:
    if action.dest == "help":
        return ""
    value = str(action.metavar or (f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest))
    if not action.option_strings:
        return f"{value}…" if action.nargs in ("+", "*") else value
    return f"[{action.option_strings[-1]}{'' if action.nargs == 0 else f' {value}'}]"


def _servers() -> Iterator[str]:
    yield _table(["`--huey-server`", "image"], ([f"`{name}`", f"`{one.image}`"] for name, one in SERVERS.items()))


def _backends() -> Iterator[str]:
    yield (
        "Each is held to the strong measure, exactly once and in order. [choose.md](choose.md) has what was measured, "
        "and [storages.md](storages.md) how to deploy those that are not Huey's own.\n"
    )
    yield _table(
        ["name", "class", "topology", "order", "with it runs"],
        ([f"`{one.name}`", f"`{one.huey}`", one.topology, one.order, _also(one)] for one in BACKENDS),
    )


def _limits() -> Iterator[str]:
    yield (
        "What a backend is known not to keep, under which class of fault, and why. A finding that one of them covers "
        "is an xfail, and counted all the same; `--huey-strict` lets it fail.\n"
    )
    found: dict[tuple[str, str], list[KnownLimit]] = {}
    owners: dict[tuple[str, str], list[str]] = {}
    for backend in BACKENDS:
        for limit in backend.limits:
            found.setdefault((limit.name, limit.why), []).append(limit)
            owners.setdefault((limit.name, limit.why), []).append(backend.name)
    for (name, why), limits in sorted(found.items()):
        covered = dict.fromkeys(f"`{limit.anomaly}` under `{limit.fault_class}`" for limit in limits)
        evidence = dict.fromkeys(f"`{limit.evidence}`" for limit in limits)
        yield f"- **{name}**: {', '.join(covered)}: {why.rstrip('.')}. Shown by {', '.join(evidence)}."
        yield f"  Of {', '.join(f'`{one}`' for one in dict.fromkeys(owners[name, why]))}."
    yield ""


def _also(backend: Backend) -> str:
    return ", ".join(f"`{name}`" for name in backend.also) or "–"


def _scenario_files() -> Iterator[str]:
    schema = schema_of(scenario_model())
    definitions = schema["$defs"]
    yield (
        "How to write one: [your-first-scenario.md](your-first-scenario.md). Durations are numbers with a unit "
        "(`500ms`, `3s`, `2min`), shares are percentages (`40%`).\n"
    )
    yield _fields(schema, definitions)
    for name, model in _PARTS.items():
        yield f"### {name if name.startswith('a ') else f'`{name}`'}\n\n{definitions[model].get('description', '')}\n"
        yield _fields(definitions[model], definitions)


def _fields(schema: dict[str, Any], definitions: dict[str, Any], leave_out: Iterable[str] = ()) -> str:
    required = schema.get("required", ())
    rows = []
    for name, field in schema["properties"].items():
        if name in leave_out:
            continue
        about = field.get("description") or resolve(field, definitions).get("description", "")
        valid = _valid(field, definitions)
        default = field.get("default")
        if valid == FORMS[SHARE_PATTERN] and isinstance(default, float):
            default = f"{default * 100:g}%"
        rows.append([f"`{name}`", about, valid, "required" if name in required else _written(default)])
    return _table(["field", "", "valid", "default"], rows)


def _valid(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    resolved = resolve(field, definitions)
    kinds = resolved.get("items", resolved)
    if "discriminator" in kinds:
        return "a list of mappings with a `kind`" if "items" in resolved else "a mapping with a `kind`"
    if "properties" in resolved:
        return "a mapping: see below"
    return describe(field, definitions)


def _written(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, list):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _workloads() -> Iterator[str]:
    common = set(WorkloadSpec.model_fields)
    definitions = schema_of(scenario_model())["$defs"]
    yield "Each has these, with defaults of its own where its table says so:\n"
    yield _fields(WorkloadSpec.model_json_schema(by_alias=True), {})
    for name, workload in WORKLOADS.items():
        spec = workload.spec
        yield f"### `{name}`\n\n{inspect.getdoc(spec) or ''}\n"
        made = definitions[spec.__name__]
        own = {
            field
            for field in common & spec.model_fields.keys()
            if spec.model_fields[field].default == WorkloadSpec.model_fields[field].default
        }
        if set(made["properties"]) - own - {"kind"}:
            yield _fields(made, definitions, leave_out=own | {"kind"})


def _faults() -> Iterator[str]:
    yield "Where each works, what it needs and its own fields: [faults.md](faults.md).\n"
    rows = (
        [f"`{name}`", _first(fault.spec), ", ".join(f"`{target}`" for target in fault.spec.targets)]
        for name, fault in FAULTS.items()
    )
    yield _table(["kind", "", "strikes"], rows)


def _checkers() -> Iterator[str]:
    yield _table(["checker", "what must hold"], ([f"`{name}`", _first(one)] for name, one in CHECKERS.items()))


def _first(documented: object) -> str:
    """The first paragraph of a docstring."""
    return (inspect.getdoc(documented) or "").split("\n\n", 1)[0]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    told = [" | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {row} |" for row in told)]) + "\n"


def main() -> int:
    """Write the page."""
    PAGE.write_text(render())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
