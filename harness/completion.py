"""Completion of `huey-harness` in bash, zsh and fish, and of pytest's `--huey-…` options where pytest is completed.

By argcomplete, which the shell asks through the program itself: nothing of this is imported unless a shell asks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Completer = Callable[..., Iterable[str]]


def script(shell: str, programs: Iterable[str]) -> str:
    """What that shell has to evaluate. Raises ModuleNotFoundError without argcomplete."""
    from argcomplete.shell_integration import shellcode

    text: str = shellcode(list(programs), shell=shell)
    return text


def answer(parser: argparse.ArgumentParser) -> None:
    """Tell the shell what could come next, and end."""
    import argcomplete

    _attach(parser, COMPLETERS)
    argcomplete.autocomplete(parser)


def attach_to_pytest(parser: Any) -> None:
    """Names for pytest's own completion of our options, where pytest's parser can be told."""
    optparser = getattr(parser, "optparser", None)
    if isinstance(optparser, argparse.ArgumentParser):
        _attach(optparser, COMPLETERS)


def _attach(parser: argparse.ArgumentParser, completers: dict[str, Completer]) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _attach(command, completers)
        for name in (*action.option_strings, action.dest):
            if name in completers:
                action.completer = completers[name]  # type: ignore[attr-defined]


def _backends(prefix: str, **_: object) -> list[str]:
    from harness.backends import BACKENDS

    # Several of them stand behind each other, with commas.
    before, comma, _last = prefix.rpartition(",")
    return [f"{before}{comma}{name}" for name in ("all", *BACKENDS.names())]


def _scenarios(**_: object) -> list[str]:
    from harness.scenario_file import find_scenarios

    # By the files' names, which are the scenarios' own among those that are shipped: nothing has to be read.
    return [path.stem for path in find_scenarios(Path("scenarios"))]


def _servers(**_: object) -> list[str]:
    from harness.runtimes.servers import SERVERS

    return list(SERVERS)


def _rooms(**_: object) -> list[str]:
    from harness.listing import ROOMS

    return list(ROOMS)


#: By option, or by the name of a positional argument.
COMPLETERS: dict[str, Completer] = {
    "rooms": _rooms,
    "--huey-backend": _backends,
    "--huey-runtime": lambda **_: ("auto", "docker", "local"),
    "--huey-scenario": _scenarios,
    "--huey-seed": lambda **_: ("last",),
    "--huey-server": _servers,
}
