"""The agents of one run: makes their orders, starts them, gives the word, stops them, drains."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import site
import sys
import sysconfig
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import clocks
from harness.agents.notes import OVER
from harness.backends import QUEUE
from harness.environments import Environment
from harness.faults import Scene
from harness.faults.toxic import links_of
from harness.plan import Plan
from harness.progress import Progress
from harness.protocols import HarnessError, Node, NodeSpec, NodeState, Runtime, Topology
from harness.runtimes.together import start_all
from harness.scenario import Scenario
from harness.topologies.server import wait_for
from harness.workloads import WORKLOADS

if TYPE_CHECKING:
    from harness.proxies import Proxies

READY_TIMEOUT_S = 60.0
#: Longer than any socket time-out of a client, so that a worker in a call can come back from it.
STOP_TIMEOUT_S = 15.0
DRAIN_TIMEOUT_S = 25.0
#: Addresses of agents come after those of servers.
FIRST_INDEX = 60


def consumer_options(scenario: Scenario, workers: int | None = None) -> dict[str, Any]:
    """What Huey's Consumer is told. Not every Huey knows all of it: what nobody asks for is not named."""
    consumers = scenario.consumers
    options: dict[str, Any] = {
        "workers": workers or consumers.workers,
        "worker_type": consumers.worker_type,
        "periodic": scenario.period_s is not None,
    }
    if consumers.health_check is not None:
        options["health_check_interval"] = consumers.health_check
    if consumers.shutdown_timeout is not None:
        options["shutdown_timeout"] = consumers.shutdown_timeout
    return options


class Stage:
    """Producers, consumers and the drainer of one run. A context manager: whatever happens, they are gone after it."""

    def __init__(
        self,
        plan: Plan,
        runtime: Runtime,
        topology: Topology,
        folder: Path,
        progress: Progress,
        environment: Environment | None = None,
    ) -> None:
        self._plan = plan
        self._python = environment.python if environment is not None else None
        self._runtime = runtime
        self._topology = topology
        # Agents do not work in the folder that pytest was started in.
        self._history = folder = folder.resolve()
        self._progress = progress
        self._go = folder / "go"
        self._drain_go = folder / "drain-go"
        self._consumers_go = folder / "consumers-go"
        self.producers: dict[str, Node] = {}
        self.consumers: dict[str, Node] = {}
        self._drainer: Node | None = None
        self._proxies: Proxies | None = None

    def __enter__(self) -> Stage:
        try:
            self._make()
        except BaseException:
            self.end()
            raise
        return self

    def _make(self) -> None:
        index = FIRST_INDEX
        for name, job in self._producer_jobs():
            self.producers[name] = self._node("producer", name, index, self._go, {"producer": job})
            index += 1
        options = consumer_options(self._plan.scenario)
        program = "greenlet_consumer" if options["worker_type"] == "greenlet" else "consumer"
        for name in self._plan.consumers:
            job = {"consumer": options, "period_s": self._plan.scenario.period_s}
            self.consumers[name] = self._node(program, name, index, self._consumers_go, job)
            index += 1
        self._drainer = self._node("drain", "drain", index, self._drain_go, {})
        self._enter_proxies()

    def _enter_proxies(self) -> None:
        """Send what faults may poison through proxies, before its first connection; servers find each other again."""
        links = links_of(self._plan.scenario.faults, self.scene())
        if not links:
            return
        from harness.proxies import Proxies  # with docker's SDK: for who needs it

        self._proxies = Proxies(self._runtime, links)
        self._proxies.__enter__()
        self._topology.wait_ready(READY_TIMEOUT_S)

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End all agents, and the proxies. Safe to call twice."""
        for node in self._agents():
            node.remove()
        if self._proxies is not None:
            self._proxies.__exit__()
            self._proxies = None

    def scene(self) -> Scene:
        """What faults find here."""
        return Scene(
            runtime=self._runtime,
            topology=self._topology,
            producers=self.producers,
            consumers=self.consumers,
            queue_key=self._plan.backend.queue_key or QUEUE,
            agents=self._progress,
            stops_are_timed=self._plan.scenario.consumers.shutdown_timeout is not None,
            poisons=self._proxies,
        )

    def start(self) -> None:
        """Start all agents; consumers are asking for work when this returns, unless the scenario wants them late."""
        late = self._plan.scenario.consumers.start == "after-producers"
        if not late:
            self._consumers_go.touch()
        start_all(self._agents())
        if not late:
            self._wait_working()

    def go(self) -> None:
        """Producers begin."""
        self._go.touch()

    def go_consumers(self) -> None:
        """Consumers that were held back begin."""
        self._consumers_go.touch()
        self._wait_working()

    def end_periods(self) -> None:
        """What is periodic ends: a scheduler that looks from now on enqueues nothing of it."""
        (self._history / OVER).touch()

    def producers_done(self, struck: Collection[str] = ()) -> bool:
        """Whether all producers have ended, and none of them by a fault that will start it again.

        `struck` are those that a fault is striking now. Raises HarnessError when another one failed.
        """
        for name, node in self.producers.items():
            if node.state() is not NodeState.EXITED:
                return False
            if node.exit_status() != 0:
                if name in struck:
                    return False
                raise self._failed(name, node)
        return True

    def stop_consumers(self) -> None:
        """As an operator does: SIGINT, and time to finish what they hold. Raises HarnessError for one that does not."""
        for node in self.consumers.values():
            node.signal(signal.SIGINT)
        for name, node in self.consumers.items():
            try:
                node.wait(STOP_TIMEOUT_S)
            except HarnessError as error:
                node.kill()
                raise HarnessError(f"{name} did not stop within {STOP_TIMEOUT_S:g} s of a SIGINT") from error

    def drain(self) -> None:
        """Let the drainer look at what the storage still holds. Raises HarnessError when it cannot."""
        assert self._drainer is not None
        self._drain_go.touch()
        if self._drainer.wait(DRAIN_TIMEOUT_S) != 0:
            raise self._failed("drain", self._drainer)

    def logs(self) -> Mapping[str, Path]:
        """What each server and agent wrote, by name."""
        nodes = {**self._topology.nodes, **{node.spec.name: node for node in self._agents()}}
        return {name: node.log_path for name, node in nodes.items()}

    def _producer_jobs(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each producer's name and share."""
        for one in self._plan.producers:
            yield one.name, dataclasses.asdict(one)

    def _agents(self) -> list[Node]:
        return [
            *self.producers.values(),
            *self.consumers.values(),
            *([self._drainer] if self._drainer is not None else []),
        ]

    def _wait_working(self) -> None:
        def working() -> bool:
            self._progress.poll()
            for name, node in self.consumers.items():
                if node.state() is NodeState.EXITED:
                    raise self._failed(name, node)
            return all(self._progress.working(name) for name in self.consumers)

        wait_for(working, READY_TIMEOUT_S, lambda: "every consumer to ask for work")

    def _failed(self, name: str, node: Node) -> HarnessError:
        try:
            text = node.log_path.read_text(errors="replace")
        except OSError:
            text = ""
        last = next((line for line in reversed(text.splitlines()) if line.strip()), "it wrote nothing")
        return HarnessError(f"{name} ended by itself (exit status {node.exit_status()}): {last}; see logs/{name}.txt")

    def _node(self, program: str, name: str, index: int, go: Path, job: Mapping[str, Any]) -> Node:
        """An agent that waits for the file `go`."""
        # Names come again in every run, on the same runtime.
        workdir = self._runtime.root / "agents" / name
        shutil.rmtree(workdir, ignore_errors=True)
        workdir.mkdir(parents=True)
        orders = {
            "agent": name,
            "history": str(self._history),
            "go": str(go),
            "huey": {
                "class": self._plan.backend.huey,
                "template": self._plan.backend.template,
                "name": QUEUE,
                "kwargs": self._plan.backend.arguments(self._topology.connection()),
            },
            "workloads": [
                {
                    "kind": one.kind,
                    "module": type(WORKLOADS.get(one.kind)).__module__,
                    "params": one.model_dump(mode="python"),
                    "imports": one.imports,
                }
                for one in self._plan.scenario.workloads
            ],
            "sys_path": [os.getcwd(), *(sys.path if self._python is None else projects_on(sys.path))],
            **job,
        }
        if program in ("producer", "consumer") and any(fault.sets_clocks for fault in self._plan.scenario.faults):
            clocks.put(workdir, clocks.RIGHT)
            orders["clock"] = str(workdir)
        path = workdir / "orders.json"
        path.write_text(json.dumps(orders, indent=1))
        return self._runtime.node(
            NodeSpec(
                name=name,
                index=index,
                program="python",
                args=("-m", f"harness.agents.{program}", str(path)),
                workdir=workdir,
                env={**self._environ(), "PYTHONUNBUFFERED": "1", **self._source(workdir)},
                python=self._python,
                mounts=(self._history, *self._topology.client_files),
            )
        )

    def _environ(self) -> Mapping[str, str]:
        """What an application may be set up by; nothing where there is none."""
        return os.environ if self._plan.backend.template else {}

    def _source(self, workdir: Path) -> dict[str, str]:
        """What lets another interpreter find this package, and nothing of what is installed beside it."""
        if self._python is None:
            return {}
        folder = workdir / "source"
        folder.mkdir()
        (folder / "harness").symlink_to(Path(__file__).parent)
        return {"PYTHONPATH": str(folder)}


def projects_on(paths: Iterable[str]) -> list[str]:
    """Those of `sys.path` that hold a project, and not what belongs to this interpreter: another one has its own."""
    own = {Path(one).resolve() for one in (*sysconfig.get_paths().values(), *site.getsitepackages())}
    own.add(Path(site.getusersitepackages()).resolve())
    own.add(Path(sysconfig.get_path("stdlib"), "lib-dynload").resolve())
    return [one for one in paths if one and Path(one).is_dir() and Path(one).resolve() not in own]
