"""One run, top to bottom: plan → topology → producers and consumers ◄ faults → history → checkers → verdict.

`perform` carries a plan out and only writes down what happened; `judge_folder` turns what was written down into a
verdict, now or in a year, with nothing but the folder.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.agents.lacking import PREFIX
from harness.backends.lacks import why_unknown
from harness.checkers import Context
from harness.checkers.faults import in_flight
from harness.checkers.judge import judge
from harness.environments import Environment
from harness.history.columns import History
from harness.history.log import trim
from harness.history.merge import read_run
from harness.nemesis import Nemesis
from harness.one_process import OneProcessStage
from harness.plan import Plan, load_plan
from harness.progress import SCHEDULER_NS, Progress
from harness.protocols import FaultRecord, HarnessError, Runtime, Topology
from harness.sampler import Sampler
from harness.stage import Stage
from harness.verdict import Verdict

TICK_S = 0.005
NOTE_S = 0.2
#: Beyond what the workload needs at its rate: outages, slow machines.
WORKLOAD_SLACK_S = 120.0

#: Told what is going on: (phase, acknowledged, completed, all tasks, faults in force).
Listener = Callable[[str, int, int, int, tuple[str, ...]], None]


def perform(
    plan: Plan,
    runtime: Runtime,
    topology: Topology,
    folder: Path,
    tell: Listener,
    environment: Environment | None = None,
) -> None:
    """Carry the plan out on a topology that is ready and empty; leaves its evidence in `folder`.

    Agents run in that environment, without one in the harness' own interpreter.

    What keeps the run from being carried out whole is noted as trouble, which makes its verdict unknown;
    evidence of what did happen is kept in any case.
    """
    history, samples = _make_rooms(folder)
    (folder / "plan.json").write_text(plan.dumps())
    offsets = {name: _size(node.log_path) for name, node in topology.nodes.items()}
    progress = Progress(history, lease_s=float(plan.backend.kwargs.get("lease_s", 0)))
    trouble: list[str] = []
    staged = OneProcessStage if plan.backend.in_one_process else Stage
    agents = staged(plan, runtime, topology, history, progress, environment)
    with agents as stage, Sampler(topology, samples) as sampler:
        nemesis = Nemesis(plan, stage.scene(), progress, history)

        def watch(phase: str, over: Callable[[], bool], timeout_s: float) -> bool:
            """Let the nemesis work until it is over; False when the time is up."""
            deadline = time.monotonic() + timeout_s
            note_at = 0.0
            while True:
                nemesis.step()
                # A fault may have kept us for seconds: whether it is over is asked of what was written until now.
                progress.poll()
                if over():
                    return True
                if time.monotonic() >= note_at:
                    note_at = time.monotonic() + NOTE_S
                    sampler.note(progress)
                    tell(phase, progress.acknowledged, progress.completed, plan.tasks, nemesis.in_force)
                if time.monotonic() > deadline:
                    return False
                time.sleep(TICK_S)

        try:
            tell("starting", 0, 0, plan.tasks, ())
            stage.start()
            nemesis.begin()
            stage.go()
            if not watch("working", lambda: stage.producers_done(nemesis.struck), _workload_timeout_s(plan)):
                raise HarnessError(f"producers were not done within {_workload_timeout_s(plan):.0f} s")
            if plan.scenario.consumers.start == "after-producers":
                stage.go_consumers()
            if plan.scenario.period_s is not None:
                stage.end_periods()
                over_ns = time.monotonic_ns()
                # Of a consumer that is struck no look is to be had: what it may have enqueued is waited for below.
                watch("last periods", lambda: progress.schedulers_looked(over_ns), SCHEDULER_NS / 1e9)
            _finish(plan, progress, nemesis, watch)
            tell("draining", progress.acknowledged, progress.completed, plan.tasks, ())
            stage.stop_consumers()
            stage.drain()
        except HarnessError as error:
            trouble.append(str(error))
        except KeyboardInterrupt:
            trouble.append("interrupted")
            raise
        finally:
            # Also on Ctrl-C: what is in force is healed, what was seen is kept.
            nemesis.give_up("the workload was over before its moment came")
            nemesis.heal_all()
            nemesis.close()
            progress.close()
            stage.end()
            for path in history.glob("*.log"):
                trim(path)
            lacks = sorted(path.name.removeprefix(PREFIX) for path in history.glob(f"{PREFIX}*"))
            _keep(folder, nemesis.records(), trouble, lacks, stage.logs(), offsets)


def _finish(plan: Plan, progress: Progress, nemesis: Nemesis, watch: Callable[..., bool]) -> None:
    """All is submitted: until every fault is healed, then until all is done or nobody finds any more work."""
    watch("last faults", lambda: nemesis.over or progress.all_done(), plan.scenario.liveness.drain)
    nemesis.give_up("the workload was over before its moment came")
    watch("healing", lambda: nemesis.over, plan.scenario.liveness.drain)
    quiet_from_ns = time.monotonic_ns()
    watch(
        "draining",
        lambda: progress.all_done() or progress.idle_since(quiet_from_ns),
        plan.scenario.liveness.drain,
    )


def judge_folder(folder: Path, meta: Mapping[str, Any]) -> tuple[Verdict, dict[str, Any], History]:
    """The verdict on what lies in the folder, and what it rests on; written there as `verdict.json`.

    `meta` are that document's first fields.
    """
    plan = load_plan(json.loads((folder / "plan.json").read_text()))
    stored = json.loads((folder / "faults.json").read_text())
    faults = tuple(
        FaultRecord(**{**one, "struck": tuple(one["struck"]), "classes": tuple(one["classes"])})
        for one in stored["faults"]
    )
    history = read_run(folder / "history")
    faults = tuple(dataclasses.replace(one, in_flight=in_flight(history, one)) for one in faults)
    verdict = judge(
        history,
        Context(
            order=plan.backend.order,
            faults=faults,
            limits=plan.backend.limits,
            forgets=plan.backend.forgets,
            recovery_s=plan.scenario.liveness.recovery,
            drain_s=plan.scenario.liveness.drain,
            competing_min=plan.scenario.competing,
            troubles=tuple(stored["trouble"]),
            records_bodies=True,
            lacks=why_unknown(stored.get("lacks", ()), plan.scenario.requires, plan.backend.name),
        ),
    )
    fields = verdict.to_json()
    document = {
        "schema": fields.pop("schema"),
        **meta,
        **fields,
        "faults": [dataclasses.asdict(one) for one in faults],
    }
    document["replay"] = f"pytest --huey-replay={meta.get('folder', folder)}"
    (folder / "verdict.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return verdict, document, history


def _make_rooms(folder: Path) -> tuple[Path, Path]:
    for name in ("history", "samples", "logs"):
        (folder / name).mkdir(parents=True)
    return folder / "history", folder / "samples"


def _workload_timeout_s(plan: Plan) -> float:
    paced_s = plan.paced_s
    return (plan.tasks / 500 if paced_s is None else paced_s) * 3 + WORKLOAD_SLACK_S


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _keep(
    folder: Path,
    faults: tuple[FaultRecord, ...],
    trouble: list[str],
    lacks: list[str],
    logs: Mapping[str, Path],
    offsets: Mapping[str, int],
) -> None:
    """Evidence before judgement: the faults as they went, and what servers and agents wrote meanwhile."""
    (folder / "faults.json").write_text(
        json.dumps(
            {"faults": [dataclasses.asdict(one) for one in faults], "trouble": trouble, "lacks": lacks}, indent=1
        )
        + "\n"
    )
    for name, path in logs.items():
        try:
            with path.open("rb") as source, (folder / "logs" / f"{name}.txt").open("wb") as target:
                source.seek(offsets.get(name, 0))
                shutil.copyfileobj(source, target)
        except FileNotFoundError:
            continue
