"""Scenarios as pytest items, and the hooks of a session that runs them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.closing import Closing
from harness.left_out import LeftOut
from harness.live import Live
from harness.plan import Plan
from harness.protocols import HarnessError, NotApplicable, Unavailable
from harness.report.model import limits_text, standing
from harness.report.result import Broken
from harness.report.terminal import header_lines
from harness.report.text import one_line, told
from harness.scenario_file import load, shipped_folder
from harness.scenario_file.files import SUFFIXES
from harness.session import Options, Session, all_backends, scenarios_in_file
from harness.workers import Controller, given_to_worker, send_results, several_workers

#: What a scenario file is known by.
_MARK = b"apiVersion: huey-harness/"
_MARK_WITHIN = 4096
#: The property by which a test report is known as one of a scenario.
_OURS = "scenario"
#: `--huey-keep` forgets nobody's topology for ever.
KEEP_S = 3600.0


class ScenarioFailed(Exception):
    """A verdict that fails its test; the text is what a person reads."""


class ScenarioItem(pytest.Item):
    """One plan: a scenario on a backend."""

    def __init__(self, *, plan: Plan, plugin: Plugin, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.plugin = plugin

    @property
    def group(self) -> tuple[str, str]:
        """Items of one group share a topology."""
        return self.plan.backend.topology, self.plan.scenario.topology.model_dump_json()

    def runtest(self) -> None:
        """Run it; the contract's table of verdicts and outcomes."""
        self.user_properties += [
            (_OURS, self.name),
            ("seed", self.plan.seed),
            ("backend", self.plan.backend.name),
            ("runtime", self.plugin.session.runtime),
        ]
        try:
            result = self.plugin.session.run(self.plan, self.plugin.live.listener(self.nodeid))
        except NotApplicable as reason:
            pytest.skip(one_line(told(reason), 1000))
        except Unavailable as missing:
            if os.environ.get("CI") == "true":
                raise ScenarioFailed(told(f"cannot be run here, and under CI that is a failure: {missing}")) from None
            pytest.skip(one_line(told(missing), 1000))
        except HarnessError as error:
            raise ScenarioFailed(told(error)) from None
        finally:
            self.plugin.live.clear()
        verdict = result.verdict
        self.user_properties += [("validity", verdict["validity"]), ("replay", verdict["replay"])]
        self.user_properties += [(f"count.{name}", n) for name, n in verdict["counts"].items() if n is not None]
        if standing(verdict) == "limits" and not self.plugin.session.options.strict:
            pytest.xfail(limits_text(verdict))
        if verdict["validity"] != "valid":
            if self.plugin.session.options.keep:
                self.session.shouldfail = "--huey-keep: the topology of this failure is kept"
            raise ScenarioFailed(result.story)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A failed verdict is told in its own words, without a traceback through the harness."""
        if isinstance(excinfo.value, ScenarioFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it comes from."""
        return self.path, None, self.name


def _item(parent: pytest.Collector, name: str, plan: Plan, plugin: Plugin) -> ScenarioItem:
    # The id as text: of a name, pytest 9.2 would not know what is in its brackets, and --lf would not find it again.
    made: ScenarioItem = ScenarioItem.from_parent(
        parent, name=name, nodeid=f"{parent.nodeid}::{name}", plan=plan, plugin=plugin
    )
    return made


class ScenarioFile(pytest.File):
    """A scenario file; collects what of it applies to the session's backends."""

    def __init__(self, *, plugin: Plugin, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._plugin = plugin

    def collect(self) -> Iterator[pytest.Item]:
        """An item for each scenario and backend."""
        session = self._plugin.session
        for located in scenarios_in_file(session, self.path):
            for backend in session.backends:
                for version in session.versions_for(located.scenario, backend, self._plugin.left_out):
                    plan = session.plan(located.scenario, backend, version)
                    name = f"{located.scenario.name}[{plan.name}]"
                    yield _item(self, name, plan, self._plugin)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Errors in the file are told as they are: place, value, what would be valid."""
        if isinstance(excinfo.value, HarnessError):
            self._plugin.malformed = True
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class Replay(pytest.Collector):
    """The plans of a stored run."""

    def __init__(self, *, plugin: Plugin, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._plugin = plugin

    def collect(self) -> Iterator[pytest.Item]:
        """An item for each plan."""
        for plan in self._plugin.session.replays:
            name = f"{plan.scenario.name}[{plan.name}]"
            yield _item(self, name, plan, self._plugin)


class Plugin:
    """The hooks that are there only while scenarios are asked for."""

    def __init__(self, config: pytest.Config, values: Mapping[str, Any]) -> None:
        self._config = config
        self.session = Session(given_to_worker(config, _options(values)))
        config.pluginmanager.register(Controller(self.session), "huey-harness-controller")
        self.live = Live(config)
        #: What was not collected, and why.
        self.left_out = LeftOut()
        #: A scenario file was found in a folder and cannot be read.
        self.malformed = False
        self._report: Path | None = None
        self._report_error = ""
        if not self.session.replays:
            _aim(config, self.session)

    def pytest_report_header(self) -> list[str]:
        """What runs where, with which versions and seed."""
        session = self.session
        backends = [one.name for one in session.backends] or sorted({one.backend.name for one in session.replays})
        told = header_lines(
            backends=backends,
            runtime=session.runtime,
            server=session.options.server,
            versions=session.header_versions(),
            seed=session.seed,
            scenarios=len(session.replays or session.selected),
        )
        told += [f"huey: {one}" for one in session.remarks]
        # With pytest-xdist others collect, and say nothing.
        return told + (self._left_out(session.left_out()) if several_workers(self._config) else [])

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Scenario files, known by their first lines."""
        if self.session.replays or not _is_scenario(file_path):
            return None
        kwargs: dict[str, Any] = {"path": file_path, "plugin": self}
        if file_path.resolve().parent == shipped_folder().resolve():
            # The same wherever the wheel is installed.
            kwargs["nodeid"] = file_path.name
        collector: pytest.Collector = ScenarioFile.from_parent(parent, **kwargs)
        return collector

    def pytest_collection(self, session: pytest.Session) -> bool | None:
        """A replay collects stored plans, and nothing else."""
        if not self.session.replays:
            return None
        collector: Any = Replay.from_parent(session, name="replay", nodeid="replay", plugin=self)
        report = self._config.hook.pytest_make_collect_report(collector=collector)
        self._config.hook.pytest_collectreport(report=report)
        session.items = [item for item in report.result if isinstance(item, pytest.Item)]
        session.testscollected = len(session.items)
        self._config.hook.pytest_collection_modifyitems(session=session, config=self._config, items=session.items)
        self._config.hook.pytest_collection_finish(session=session)
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Items that share a topology come together: a reset is much cheaper than a start."""
        order: dict[tuple[str, str], int] = {}
        for item in items:
            if isinstance(item, ScenarioItem):
                order.setdefault(item.group, len(order))
        items.sort(key=lambda item: order[item.group] if isinstance(item, ScenarioItem) else -1)

    def pytest_report_collectionfinish(self) -> list[str]:
        """Why what was asked for by name, or with a version of Huey, is not there."""
        return self._left_out(self.left_out)

    def _left_out(self, left_out: LeftOut) -> list[str]:
        return left_out.lines(asked_by_name=bool(self.session.options.scenarios))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """End what runs, write the report. Also after Ctrl-C."""
        if self.malformed and session.exitstatus == pytest.ExitCode.INTERRUPTED:
            # As for those that are named: it is what was given that is wrong, and nothing was started.
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        if session.shouldfail and self.session.options.keep:
            self._hold()
        send_results(self._config, self.session)
        try:
            self._report = self.session.close()
        except HarnessError as error:
            self._report_error = str(error)
        try:
            Closing(self.session, self._report).github_summary()
        except HarnessError as error:
            self._report_error = str(error)

    def _hold(self) -> None:
        """Let a person look at what failed, until Ctrl-C, or for an hour."""
        self.live.say(["", "--huey-keep: still running, until Ctrl-C:", *self.session.reach()])
        try:
            threading.Event().wait(KEEP_S)
        except KeyboardInterrupt:
            self.live.say(["ended"])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what failed without a verdict; with pytest-xdist also in the process that reports."""
        facts = dict(report.user_properties)
        if report.failed and _OURS in facts and "validity" not in facts:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.session.broken.append(Broken(str(facts[_OURS]), told(crash.message if crash else report.longreprtext)))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The table, and where the report is."""
        Closing(self.session, self._report, self._report_error).terminal(terminalreporter)


def _is_scenario(path: Path) -> bool:
    """Whether that is a file that says it is a scenario: other YAML in a project is none of ours."""
    if path.suffix not in SUFFIXES or not os.path.isfile(path):
        return False
    try:
        with path.open("rb") as file:
            return _MARK in file.read(_MARK_WITHIN)
    except OSError:
        return False


def _options(values: Mapping[str, Any]) -> Options:
    names: list[str] = []
    for name in (values["backend"] or "").split(","):
        if name.strip() == "all":
            names += all_backends()
        elif name.strip():
            names.append(name.strip())
    if not (names or values["replay"]):
        raise HarnessError(f"--huey-backend is {values['backend']!r}", remedy="huey-harness list backends")
    try:
        scale = float(values["scale"])
    except ValueError:
        raise HarnessError(f"--huey-scale is {values['scale']!r}", remedy="give a number, such as 0.1 or 10") from None
    return Options(
        backends=tuple(dict.fromkeys(names)),
        runtime=values["runtime"],
        server=values["server"],
        versions=tuple(values["version"] or ()),
        requires=tuple(values["requires"] or ()),
        scenarios=tuple(values["scenario"] or ()),
        seed=values["seed"],
        scale=scale,
        keep=bool(values["keep"]),
        strict=bool(values["strict"]),
        report=Path(values["report"]),
        replay=Path(values["replay"]) if values["replay"] else None,
        load=values["load"],
    )


def _aim(config: pytest.Config, session: Session) -> None:
    """What pytest is to collect: without paths the scenarios only; a shipped file may be named by its name alone."""
    if config.args_source is not config.ArgsSource.ARGS:
        config.args[:] = list(dict.fromkeys(str(one.path) for one in session.selected))
        return
    shipped = shipped_folder()
    for i, argument in enumerate(config.args):
        file, colons, rest = argument.partition("::")
        if _is_scenario(Path(file)):
            load(Path(file))
        if not os.path.exists(file) and os.path.isfile(shipped / file):
            config.args[i] = f"{shipped / file}{colons}{rest}"
