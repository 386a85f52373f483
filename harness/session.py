"""A pytest session's runs: which there are, what they share, and the folder that they leave."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import platform
import random
import shlex
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import environments
from harness.applies import why_not, why_not_with
from harness.backends import BACKENDS, Backend
from harness.environments import Environment
from harness.instances import find
from harness.left_out import LeftOut
from harness.load import check_name, why_not_loaded, with_load
from harness.plan import Plan, draw_plan, load_plan, named
from harness.pool import Pool
from harness.protocols import HarnessError, NotApplicable, Unavailable
from harness.report.html import write_report
from harness.report.index import record_run
from harness.report.junit import write_junit
from harness.report.result import Broken, Result
from harness.report.terminal import failure_text
from harness.report.text import one_line
from harness.run import Listener, judge_folder, perform
from harness.runtimes.choose import check_server, choose
from harness.runtimes.servers import DEFAULT
from harness.runtimes.toxiproxy import find_toxiproxy
from harness.scenario import Scenario
from harness.scenario_file import Located, find_scenarios, locate, select
from harness.stage import consumer_options

PLANS_MAX = 10_000
SCALE_MAX = 1000
#: What numpy, and a signed field of 64 bits, still take.
SEED_MAX = 2**63 - 1


@dataclass(frozen=True)
class Options:
    """The plugin's options, checked for type only. `folder` is the session's, where another process has made it."""

    backends: tuple[str, ...]
    runtime: str = "auto"
    server: str = DEFAULT
    versions: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    seed: str | None = None
    scale: float = 1.0
    strict: bool = False
    report: Path = Path("reports")
    keep: bool = False
    replay: Path | None = None
    folder: Path | None = None
    load: str | None = None


class Session:
    """Made when pytest is configured: bad options end here, before anything is started. Raises HarnessError."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.runtime = choose(options.runtime)
        check_server(self.runtime, options.server)
        if not 0 < options.scale <= SCALE_MAX:
            raise HarnessError(
                f"--huey-scale is {options.scale:g}",
                remedy=f"give a number above 0 and at most {SCALE_MAX}, such as 0.1 or 10",
            )
        _check_folder(options.report)
        self.replays = _stored_plans(options.replay) if options.replay is not None else []
        #: Versions of Huey that each backend is run with; None = that of its own interpreter.
        self.versions: tuple[str | None, ...] = tuple(
            dict.fromkeys(environments.check_version(one) for one in options.versions)
        ) or (None,)
        self._environments: dict[tuple[str, ...], Environment] = {}
        self._further = tuple(environments.check_requirement(one) for one in options.requires)
        if options.load is not None:
            check_name(options.load)
        #: What is to be told of the backends.
        self.remarks: list[str] = []
        self.backends = () if self.replays else self._find_backends()
        self.seed = self.replays[0].seed if self.replays else _seed(options)
        own = Path("scenarios")
        self.available = [] if self.replays else self.locate(find_scenarios(own if own.is_dir() else None))
        # A stored run is carried out again whole, whatever an ini file selects else.
        chosen = bool(options.scenarios) and not self.replays
        self.selected = select(options.scenarios, self.available) if chosen else self.available
        self.results: list[Result] = []
        #: Tests that failed without a result.
        self.broken: list[Broken] = []
        if options.versions or options.requires:
            self._prepare()
        self._pool = Pool(self.runtime, options.server)
        self._folder = options.folder
        self._server_version = options.server

    # ---------------------------------------------------------------- what there is to run

    def plan(self, scenario: Scenario, backend: Backend, version: str | None = None) -> Plan:
        """The plan for that scenario, backend and Huey under this session's seed."""
        return draw_plan(
            scenario,
            backend,
            self.seed,
            runtime=self.runtime,
            server=scenario.topology.server or self.options.server,
            scale=self.options.scale,
            version=version,
            requires=self._requires(backend, version, *packages(scenario)),
        )

    def why_not(self, scenario: Scenario, backend: Backend, version: str | None = None) -> str | None:
        """Why the scenario does not apply to that backend with that Huey; None where it does."""
        return self._why_not(scenario, backend) or self._why_not_with(scenario, backend, version)

    def versions_for(self, scenario: Scenario, backend: Backend, left_out: LeftOut) -> Iterator[str | None]:
        """The versions of Huey that the scenario is run with on that backend; the others are left out."""
        why = self._why_not(scenario, backend)
        if why is not None:
            left_out.add(scenario.name, backend.name, why, to_tell=bool(backend.unfit))
            return
        for version in self.versions:
            why = self._why_not_with(scenario, backend, version)
            if why is None:
                yield version
            else:
                left_out.add(scenario.name, named(backend, version), why, to_tell=True)

    def left_out(self) -> LeftOut:
        """What of the selected scenarios is not run, before any is collected."""
        found = LeftOut()
        for one in self.selected:
            for backend in self.backends:
                for _ in self.versions_for(one.scenario, backend, found):
                    pass
        return found

    def locate(self, paths: Iterable[Path]) -> list[Located]:
        """The scenarios of these files, with the session's load in the place of plain tasks."""
        found = locate(paths)
        return [dataclasses.replace(one, scenario=with_load(one.scenario, self.options.load)) for one in found]

    def _why_not(self, scenario: Scenario, backend: Backend) -> str | None:
        return why_not_loaded(scenario, self.options.load) or why_not(scenario, backend)

    def _find_backends(self) -> tuple[Backend, ...]:
        """The backends that were named, each followed by those that are meant with it."""
        found: dict[str, Backend] = {}
        for name in self.options.backends:
            backend = self._backend(name)
            for one in (backend, *(self._backend(also) for also in backend.also)):
                found.setdefault(one.name, one)
        return tuple(found.values())

    def _backend(self, name: str) -> Backend:
        found = find(name, self.runtime, self.options.server, self.options.load)
        self.remarks += found.remarks
        from harness.topologies import TOPOLOGIES

        topology = found.backend.topology
        if topology not in TOPOLOGIES.names():
            raise HarnessError(
                f"backend {name!r} needs the topology {topology!r}, which is not to be had yet; "
                f"there are: {', '.join(TOPOLOGIES.names())}"
            )
        return found.backend

    def _why_not_with(self, scenario: Scenario, backend: Backend, version: str | None) -> str | None:
        environment = self._environments.get(self._requires(backend, version))
        if environment is None:
            # An interpreter of the backend's own is not made before it is needed, and its Huey is the backend's choice.
            huey = backend.pinned if backend.requires else versions(())["huey"]
            return None if huey is None else why_not_with(scenario, backend, huey)
        if unknown := unknown_options(scenario, environment):
            return f"the consumer of that Huey does not have {', '.join(unknown)}"
        return why_not_with(scenario, backend, environment.versions["huey"])

    # ---------------------------------------------------------------- interpreters of agents

    def header_versions(self) -> Mapping[str, str]:
        """What producers and consumers run, each with all its versions."""
        if not self._environments:
            return versions(self.backends or [plan.backend for plan in self.replays])
        told: dict[str, dict[str, None]] = {}
        for environment in self._environments.values():
            for name, version in environment.versions.items():
                told.setdefault(name, {})[version] = None
        return {name: " and ".join(found) for name, found in told.items()}

    def _requires(self, backend: Backend, version: str | None, *packages: str) -> tuple[str, ...]:
        """All of an interpreter of their own, `packages` with it; nothing where the harness' own will do."""
        own = environments.requirements(version, self._further, backend.requires, backend.package)
        asked = (*packages, *backend.requires)
        return environments.requirements(version, self._further, asked, backend.package) if own else ()

    def _prepare(self) -> None:
        """Build what the options ask for: what cannot be had is told before anything is started."""
        for backend in self.backends:
            for version in self.versions:
                environment = self._got(self._requires(backend, version))
                module, _, name = backend.huey.partition(":")
                if module == "huey" and name not in environment.classes:
                    huey = environment.versions["huey"]
                    raise HarnessError(f"backend {backend.name!r} needs {name}, which Huey {huey} does not have")

    def _environment(self, plan: Plan) -> Environment | None:
        """The agents' interpreter, None for this one. Raises Unavailable, NotApplicable, HarnessError."""
        if not plan.requires:
            return None
        environment = self._got(plan.requires)
        if unknown := unknown_options(plan.scenario, environment):
            raise NotApplicable(
                f"{plan.scenario.name} sets {', '.join(unknown)}, which the consumer of "
                f"Huey {environment.versions['huey']} does not have"
            )
        return environment

    def _got(self, wanted: tuple[str, ...]) -> Environment:
        if wanted not in self._environments:
            self._environments[wanted] = environments.get(wanted)
        return self._environments[wanted]

    # ---------------------------------------------------------------- running

    @property
    def folder(self) -> Path:
        """This session's folder, made at its first run."""
        if self._folder is None:
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            folder = self.options.report / f"{stamp}-{uuid.uuid4().hex[:6]}"
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                raise HarnessError(
                    f"cannot make the folder for reports {str(folder)!r}: {error.strerror}",
                    remedy="name another with --huey-report=FOLDER",
                ) from error
            self._folder = folder
        return self._folder

    def run(self, plan: Plan, tell: Listener) -> Result:
        """Carry out one plan and judge it. Raises Unavailable where this machine cannot, HarnessError where
        nothing could be begun; a run that was begun has a result, an interrupted one before the interruption goes on.
        """
        _check_installed(plan)
        environment = self._environment(plan)
        tell("topology", 0, 0, plan.tasks, ())
        runtime, topology = self._pool.get(plan.backend.topology, plan.scenario.topology)
        self._server_version = topology.server_version()
        needs = frozenset().union(*(type(fault).needs for fault in plan.scenario.faults))
        if plan.backend.template:
            needs |= {"links"}  # what belongs to somebody's application must not reach what else there is
        if not needs <= runtime.capabilities:
            raise Unavailable(
                f"{plan.scenario.name} needs {', '.join(sorted(needs - runtime.capabilities))}, which "
                f"{runtime.describe()} does not have",
                remedy="huey-harness doctor",
            )
        if "proxies" in needs:
            find_toxiproxy()
        folder = self._result_folder(plan)
        began = time.monotonic()
        try:
            perform(plan, runtime, topology, folder, tell, environment)
        except BaseException as error:
            self._pool.close()  # who knows what was left undone
            if isinstance(error, OSError):
                raise HarnessError(f"cannot write {error.filename}: {error.strerror}") from error
            raise
        finally:
            if (folder / "faults.json").exists():
                tell("judging", 0, 0, plan.tasks, ())
                self._judge(plan, folder, time.monotonic() - began, environment)
        return self.results[-1]

    def reach(self) -> list[str]:
        """How to reach what still runs, a line each."""
        return self._pool.reach()

    def close(self) -> Path | None:
        """End what runs, write the report; its path, or None when there is nothing to report, or another does it."""
        self._pool.close()
        if self._folder is None or self.options.folder is not None:
            return None
        if not any(self._folder.iterdir()):
            self._folder.rmdir()  # made for workers who had nothing to run
            return None
        write_junit(self._folder / "junit.xml", self.results, self.broken, strict=self.options.strict)
        report = write_report(self._folder)
        record_run(self.options.report, self._folder, self.results)
        return report

    def _judge(self, plan: Plan, folder: Path, seconds: float, environment: Environment | None) -> None:
        own = environment.versions if environment is not None else versions([plan.backend])
        meta: Mapping[str, Any] = {
            "run": self.folder.name,
            "scenario": plan.scenario.name,
            "backend": plan.backend.name,
            "huey_version": plan.version,
            "runtime": self.runtime,
            "seed": plan.seed,
            "versions": {**own, "server": self._server_version},
            "folder": str(folder),
        }
        _, document, history = judge_folder(folder, meta)
        failed = document["validity"] != "valid"
        self.results.append(Result(document, seconds, failure_text(document, history) if failed else ""))

    def _result_folder(self, plan: Plan) -> Path:
        # A class of one's own has a colon in its name, and a path may not everywhere.
        base = self.folder / plan.scenario.name / plan.name.replace(":", ".").replace("/", "_")
        folder, again = base, 1
        while folder.exists():
            again += 1
            folder = base.with_name(f"{base.name}-{again}")
        folder.mkdir(parents=True)
        return folder


def packages(scenario: Scenario) -> tuple[str, ...]:
    """What the scenario's consumers need beside huey and redis, by the names to install and import."""
    return ("gevent",) if scenario.consumers.worker_type == "greenlet" else ()


def _check_installed(plan: Plan) -> None:
    """Raises Unavailable where a package is missing. What an interpreter of its own is to hold, pip says."""
    needs = [(plan.backend.name, plan.backend.module, plan.backend.package)] if plan.backend.package else []
    if not plan.requires:
        needs += [(plan.scenario.name, package, package) for package in packages(plan.scenario)]
    for who, module, package in needs:
        if importlib.util.find_spec(module) is None:
            raise Unavailable(
                f"{who} needs {module}, which is not installed", remedy=f"pip install {shlex.quote(package)}"
            )


def unknown_options(scenario: Scenario, environment: Environment) -> list[str]:
    """What the scenario tells consumers, and theirs cannot be told."""
    return [one for one in consumer_options(scenario) if one not in environment.consumer_options]


def versions(backends: Iterable[Backend]) -> dict[str, str]:
    """Of what producers and consumers of these backends run in the harness' own interpreter."""
    modules = {one.module for one in backends if one.module and importlib.util.find_spec(one.module)}
    return {
        "huey": importlib.metadata.version("huey"),
        "redis-py": importlib.metadata.version("redis"),
        **{module: importlib.metadata.version(module) for module in sorted(modules)},
        "python": platform.python_version(),
    }


def scenarios_in_file(session: Session, path: Path) -> list[Located]:
    """The selected scenarios of one file."""
    real = path.resolve()
    if any(one.path.resolve() == real for one in session.available):
        return [one for one in session.selected if one.path.resolve() == real]
    return session.locate([path])


def all_backends() -> tuple[str, ...]:
    """The names behind `all`."""
    return tuple(sorted(backend.name for backend in BACKENDS))


def _seed(options: Options) -> int:
    if options.seed is None:
        return random.SystemRandom().randrange(1_000_000)
    if options.seed != "last":
        if options.seed.isdecimal() and len(options.seed) < 20 and int(options.seed) <= SEED_MAX:
            return int(options.seed)
        raise HarnessError(
            f"--huey-seed is {one_line(options.seed, 40)!r}",
            remedy=f"give a whole number from 0 to {SEED_MAX}, or `last` for that of the last run",
        )
    for path in sorted((options.report / "latest").glob("*/*/plan.json")):
        return int(json.loads(path.read_text())["seed"])
    raise HarnessError(f"--huey-seed=last: there is no last run in {str(options.report)!r}")


def _check_folder(folder: Path) -> None:
    """Raises HarnessError where reports could not be written."""
    there = folder.absolute()
    while not os.path.exists(there) and there != there.parent:
        there = there.parent
    why = (
        "is not a folder"
        if not os.path.isdir(there)
        else "cannot be written to"
        if not os.access(there, os.W_OK)
        else ""
    )
    if why:
        raise HarnessError(
            f"--huey-report is {str(folder)!r}, and {str(there)!r} {why}",
            remedy="name another with --huey-report=FOLDER",
        )


def _stored_plans(folder: Path) -> list[Plan]:
    """The plans of a run's folder, or of one result's in it."""
    own = folder / "plan.json"
    # os.path takes any name at all for an answer.
    found = [own] if os.path.isfile(own) else []
    if not found and os.path.isdir(folder):
        found = sorted(folder.glob("*/*/plan.json"))[:PLANS_MAX]
    if not found:
        raise HarnessError(
            f"--huey-replay: {str(folder)!r} is no folder of a run",
            remedy="give one that holds a plan.json, such as reports/latest",
        )
    plans = []
    for path in found:
        try:
            plans.append(load_plan(json.loads(path.read_text())))
        except (ValueError, KeyError, TypeError) as error:
            raise HarnessError(f"{path}: cannot be replayed: {error}") from error
    return plans
