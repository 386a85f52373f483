"""Where scenario files are, and which of them somebody asked for."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.registry import UnknownName, did_you_mean
from harness.scenario import Scenario
from harness.scenario_file.files import SUFFIXES, scenarios_in, shipped_folder
from harness.scenario_file.reading import load_all


@dataclass(frozen=True)
class Located:
    """A scenario and where it comes from.

    `id` is `<file name>::<scenario>` for a shipped one, wherever it is installed, and
    `<folder>/<file name>::<scenario>` for any other.
    """

    id: str
    path: Path
    scenario: Scenario


def find_scenarios(own: Path | None) -> list[Path]:
    """The shipped scenario files, then those of a project's own folder (`scenarios/`) if there is one."""
    shipped = shipped_folder()
    found = scenarios_in(shipped)
    if own is not None and own.is_dir() and own.resolve() != shipped.resolve():
        found += scenarios_in(own)
    return found


def locate(paths: Iterable[Path]) -> list[Located]:
    """Read those files: every scenario in them, with its id. Raises ScenarioErrors, for all files at once."""
    shipped = shipped_folder().resolve()
    return [
        Located(f"{_file_id(path, shipped)}::{scenario.name}", path, scenario)
        for path, scenarios in load_all(paths).items()
        for scenario in scenarios
    ]


def select(wanted: Sequence[str], available: Sequence[Located]) -> list[Located]:
    """The scenarios that `--huey-scenario` names, in the order of `wanted`, each once.

    An entry is a scenario's name or id, the name of a file among the available ones, the path of any file or
    folder, `<path>::<scenario>`, or a glob over any of these. Raises UnknownName for an entry that nothing
    answers to, and ScenarioErrors for a file that cannot be read.
    """
    chosen: dict[tuple[Path, str], Located] = {}
    for entry in wanted:
        matching = [each for each in available if _answers(each, entry)] or _from_files(entry, available)
        if not matching:
            names = sorted({each.scenario.name for each in available})
            known = [*names, *(each.id for each in available), *(each.path.name for each in available)]
            raise UnknownName(
                f"no scenario answers to {entry!r}{_no_file(entry)}.{did_you_mean(entry, known)} "
                f"There are: {', '.join(names)}"
            )
        for each in matching:
            chosen.setdefault((each.path.resolve(), each.scenario.name), each)
    return list(chosen.values())


def _answers(located: Located, entry: str) -> bool:
    names = (located.scenario.name, located.id, located.path.name)
    return any(fnmatch.fnmatchcase(name, entry) for name in names)


def _from_files(entry: str, available: Sequence[Located]) -> list[Located]:
    """What a path, or a glob over paths, holds; of a file that is available already, what is known of it."""
    pattern, _, name = entry.partition("::")
    if "\0" in pattern:
        return []
    paths: list[Path] = []
    for found in sorted(glob.glob(pattern)):
        path = Path(found)
        paths += scenarios_in(path) if path.is_dir() else [path]
    known = {each.path.resolve() for each in available}
    fresh = locate(path for path in paths if path.resolve() not in known)
    asked = {path.resolve() for path in paths}
    found_here = [each for each in available if each.path.resolve() in asked] + fresh
    return [each for each in found_here if not name or fnmatch.fnmatchcase(each.scenario.name, name)]


def _no_file(entry: str) -> str:
    """What is to be said besides of an entry that looks like a path."""
    pattern = entry.partition("::")[0]
    if "/" not in pattern and not pattern.endswith(SUFFIXES):
        return ""
    if os.path.isdir(pattern):
        return ", and that folder holds no scenario file"
    return "" if glob.glob(pattern.replace("\0", "")) else ", and there is no such file"


def _file_id(path: Path, shipped: Path) -> str:
    real = path.resolve()
    return path.name if real.parent == shipped else f"{real.parent.name}/{path.name}"
