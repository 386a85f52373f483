"""pytest-xdist (`-n 2`): each worker carries out runs on topologies of its own; the controller draws the seed, makes
the folder, and reports on all of them at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.protocols import HarnessError
from harness.report.result import Result
from harness.session import Options, Session

_INPUT, _OUTPUT = "huey_harness", "huey_harness_results"


def several_workers(config: pytest.Config) -> bool:
    """Whether this is the process that workers belong to."""
    return bool(getattr(config.option, "numprocesses", None))


def given_to_worker(config: pytest.Config, options: Options) -> Options:
    """In a worker, the options with the controller's seed and folder; elsewhere as they are.

    Raises HarnessError for what several workers cannot do.
    """
    given: Mapping[str, Any] | None = getattr(config, "workerinput", {}).get(_INPUT)
    if given is not None:
        return dataclasses.replace(options, seed=given["seed"], folder=Path(given["folder"]))
    if options.keep and several_workers(config):
        raise HarnessError("--huey-keep keeps one topology, and -n starts several", remedy="leave out one of the two")
    return options


def send_results(config: pytest.Config, session: Session) -> None:
    """From a worker, at its end, what came of its runs."""
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output[_OUTPUT] = [[dict(one.verdict), one.seconds, one.story] for one in session.results]


class Controller:
    """The hooks of the process that the workers belong to."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """A worker is about to be started."""
        node.workerinput[_INPUT] = {"seed": str(self._session.seed), "folder": str(self._session.folder.absolute())}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """A worker has ended. One that crashed brings nothing: pytest tells what it was at."""
        for verdict, seconds, story in getattr(node, "workeroutput", {}).get(_OUTPUT, ()):
            self._session.results.append(Result(verdict, seconds, story))
        # Whoever was quicker: people look for the same things in the same place.
        self._session.results.sort(key=lambda one: (one.scenario, one.backend))
