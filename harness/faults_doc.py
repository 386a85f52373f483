"""Makes docs/faults.md: what each fault does, from the registry, and where it works, from what was measured.

python -m harness.faults_doc
"""

from __future__ import annotations

import inspect
import json
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.faults import FAULTS
from harness.scenario import SHARE_PATTERN, FaultSpec, Trigger

PAGE, MEASURED = Path("docs/faults.md"), Path("docs/faults.json")
PLACES = ("local, as root", "local, as an ordinary user", "docker")
#: How long a fault may take at the median to be seen landed, and healed beyond what servers need by themselves.
INJECT_MS, HEAL_MS = 250, 1000
#: What every fault has; said once.
_COMMON = FaultSpec.model_fields.keys()

_HEAD = """\
# Faults

Made by `python -m harness.faults_doc` from the faults themselves and from `docs/faults.json`; not written by hand.

A fault of a scenario names its `kind`, its `target` and when it strikes. Whom a role means is looked up then, since
failovers change it. Each is seen to land and to heal from outside itself; one that is not makes the run's verdict
unknown. What they mean for promises is in [ARCHITECTURE.md](../ARCHITECTURE.md), Faults and their classes.
"""

_COMPOSING = """\
## Several of them

```yaml
faults:
  # Three times, a second apart; the times between are the same whatever the trigger.
  - {kind: kill, target: consumer, at: {acknowledged: 20%}, for: 500ms, repeat: {times: 3, every: 1s}}
  # While the others go on: faults may overlap.
  - {kind: partition, target: minority, at: {elapsed: 2s}, for: 3s}
  # The consumer that has three tasks in hand is the one that is struck.
  - {kind: pause, target: consumer, at: {held: 3, later: 1s}}
nemesis:
  # Which of these strikes when, and for how long, is drawn from the seed; plan.json lists what came of it.
  every: 1s
  for: 8s
  at_once: 2
  mix:
    - {kind: kill, target: primary-of-queue, for: 2s, in_flight: 0}
    - {kind: partition, target: minority, for: 2s, in_flight: 0}
```

Each fault is undone when its own time is up. That it healed is looked for when no fault is in force any more, since
only then do all servers agree. So `healed_ns`, where the fault's window ends, may be a while after `undone_ns`.

- A link that two faults cut is open again when both are over.
- A fault that cuts links goes together with any other on the same node.
- Of all others a node or consumer has one at a time, until it was seen healed. Where a role has several, the next fault
  takes one that is free; where it has not, the fault is put off.
- A fault that finds no target while others are in force is put off too.
- A fault whose moment never comes, or that is put off for good, did not land: the verdict is unknown.
"""


def place_of(runtime: str, user: int) -> str:
    """Which of PLACES that is."""
    if runtime == "docker":
        return PLACES[2]
    return PLACES[0] if user == 0 else PLACES[1]


def render(measured: Mapping[str, Any]) -> str:
    """The page."""
    parts = [_HEAD, *_where_they_work(measured["rows"]), *_what_takes_longer(measured["rows"])]
    parts += ["## Each of them\n"]
    for name, fault in FAULTS.items():
        parts.append(_about(name, fault.spec))
    parts += [_when(), _COMPOSING]
    return "\n".join(parts)


def _where_they_work(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## Where they work\n"
    yield (
        "Median times to inject and to heal in milliseconds, each until it was seen, over all targets and choices of "
        "a fault; in brackets the slowest. Measured by `tests/contracts/faults/table.py` on a busy machine "
        f"(two cores, load 1 to 39), {_rounds(rows)}. What servers need to agree again is in the times to heal. "
        "Consumers are stand-ins that start at once: a real one is well as soon as its interpreter has started.\n"
    )
    yield _table(
        ["fault", "tried on", *PLACES],
        (
            [
                f"`{name}`",
                ", ".join(dict.fromkeys(row["topology"] for row in rows if row["kind"] == name)),
                *(_cell([row for row in rows if (row["kind"], row["place"]) == (name, place)]) for place in PLACES),
            ]
            for name in FAULTS.names()
        ),
    )


def _rounds(rows: Sequence[Mapping[str, Any]]) -> str:
    found = [len(row["inject_ms"]) for row in rows if "inject_ms" in row]
    few = sum(one < max(found) for one in found)
    return f"{max(found)} rounds of each case" + (f" ({few} of them, that take long, {min(found)})" if few else "")


def _cell(rows: Sequence[Mapping[str, Any]]) -> str:
    """What was seen of one fault in one place."""
    told = []
    works = [row for row in rows if "inject_ms" in row]
    if works:
        inject, heal = ([one for row in works for one in row[name]] for name in ("inject_ms", "heal_ms"))
        told.append(
            f"works: {statistics.median(inject):,.0f} (≤ {max(inject):,}) / "
            f"{statistics.median(heal):,.0f} (≤ {max(heal):,})"
        )
    for what in ("skipped", "failed"):
        for why in sorted({str(row[what]).splitlines()[0] for row in rows if what in row}):
            of = ", ".join(row["fields"]["target"] for row in rows if str(row.get(what, "")).startswith(why))
            told.append(f"{what} ({of}): {why}" if works else f"{what}: {why}")
    return "; ".join(told) or "not measured"


def slow(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, tuple[float, float]]]]:
    """The cases whose medians are above INJECT_MS or HEAL_MS somewhere: by fault, by case, by place, both of them."""
    found: dict[str, dict[str, dict[str, tuple[float, float]]]] = {}
    for row in rows:
        if "inject_ms" in row:
            inject, heal = statistics.median(row["inject_ms"]), statistics.median(row["heal_ms"])
            if inject > INJECT_MS or heal > HEAL_MS:
                found.setdefault(row["kind"], {}).setdefault(row["case"], {})[row["place"]] = (inject, heal)
    return found


def _what_takes_longer(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## What takes longer\n"
    yield (
        f"A fault is to be seen landed within {INJECT_MS} ms, and seen healed within {HEAL_MS:,} ms beyond what "
        f"servers need by themselves. These had a median above {INJECT_MS} ms to inject, or above {HEAL_MS:,} ms to "
        f"heal, servers' own time included: {', '.join(PLACES)}.\n"
    )
    found = slow(rows)
    for kind in FAULTS.names():
        if kind in found:
            yield f"### `{kind}`, longer\n\n{FAULTS.get(kind).spec.takes_time or 'Not known why.'}\n"
            yield _table(
                ["case", *PLACES],
                (
                    [f"`{case}`", *(_both(places.get(place)) for place in PLACES)]
                    for case, places in sorted(found[kind].items())
                ),
            )


def _both(medians: tuple[float, float] | None) -> str:
    return "within" if medians is None else f"{medians[0]:,.0f} / {medians[1]:,.0f}"


def _about(name: str, spec: type[FaultSpec]) -> str:
    lines = [f"### `{name}`\n", inspect.getdoc(spec) or "", ""]
    lines.append(f"- strikes: {', '.join(f'`{one}`' for one in spec.targets) or 'whom it finds'}")
    if spec.topologies is not None:
        lines.append(f"- topologies: {', '.join(f'`{one}`' for one in sorted(spec.topologies))}")
    lines.append(f"- needs of the runtime: {', '.join(f'`{one}`' for one in sorted(spec.needs)) or 'nothing'}")
    lines.append(f"- in the report: {spec.color}")
    properties = spec.model_json_schema(by_alias=True)["properties"]
    for field, info in spec.model_fields.items():
        if field not in _COMMON and field != "kind":
            written = info.alias or field
            choices = properties[written].get("enum")
            values = f" ({', '.join(map(str, choices))})" if choices else ""
            lines.append(
                f"- `{written}`{values}: {info.description}; default {_default(info.default, properties[written])}"
            )
    return "\n".join(lines) + "\n"


def _default(value: object, schema: Mapping[str, Any]) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value * 100:g}%" if schema.get("pattern") == SHARE_PATTERN else f"{value:g}s"


def _when() -> str:
    told = (f"| `{name}` | {info.description} |" for name, info in Trigger.model_fields.items())
    return (
        "## When they strike\n\n`at` has exactly one of these, and `later`:\n\n| `at` | |\n|---|---|\n"
        + "\n".join(told)
        + "\n"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page."""
    PAGE.write_text(render(json.loads(MEASURED.read_text())))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
