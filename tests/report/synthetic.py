"""Runs that never ran: real log files of an invented cluster, with faults and losses put in on purpose."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from harness.history import log
from harness.history.columns import History
from harness.history.log import LogWriter
from harness.verdict import COUNT_NAMES

#: When the invented machine booted: no real clock starts at zero.
ORIGIN_NS = 5_000_000_000_000
MS = 1_000_000
S = 1_000 * MS

Event = tuple[int, int, int, dict[str, Any]]


@dataclass
class Invented:
    """Events by process (times in ns since the origin), the tasks lost on purpose, and when the faults struck."""

    events: dict[str, list[Event]] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    indeterminate: list[int] = field(default_factory=list)
    kill_ns: int = 0
    heal_ns: int = 0
    end_ns: int = 0

    def add(self, process: str, time_ns: int, type: int, f: int, **fields: Any) -> None:
        """Note one event."""
        self.events.setdefault(process, []).append((time_ns, type, f, fields))

    def span(self, process: str, f: int, start_ns: int, end_ns: int, type: int = log.OK, **fields: Any) -> None:
        """Note an operation from its invoke to its end."""
        named = {} if f == log.DEQUEUE else {k: v for k, v in fields.items() if k in ("task", "priority")}
        self.add(process, start_ns, log.INVOKE, f, **named)
        self.add(process, end_ns, type, f, **{k: v for k, v in fields.items() if k != "priority"})


def write_logs(folder: Path, events: dict[str, list[Event]]) -> None:
    """One log a process, as agents write them, stamped with the invented times."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (process, rows) in enumerate(sorted(events.items())):
        name, _, incarnation = process.partition(".")
        writer = LogWriter(folder / f"{number:03d}.log", name, incarnation=int(incarnation or 0))
        clock = [0]
        with mock.patch.object(log, "_now", lambda clock=clock: clock[0]):
            for time_ns, type_, f, fields in sorted(rows, key=lambda row: row[0]):
                clock[0] = ORIGIN_NS + time_ns
                listed = fields.pop("tasks", None)
                if listed is None:
                    writer.write(type_, f, **fields)
                else:
                    writer.write_list(type_, f, listed, **fields)
        writer.close()


def invent(tasks: int = 2_000, *, rate: float = 600, kill: bool = True, outage: bool = False) -> Invented:
    """2 producers, 2 consumers × 4 workers. `kill`: consumer-1 dies with two tasks in hand. `outage`: a stall."""
    made = Invented()
    length_ns = int(tasks / rate * S)
    made.kill_ns = int(length_ns * 0.45)
    made.heal_ns = made.kill_ns + S
    queue: list[tuple[int, int, int]] = []
    stalled = (made.kill_ns, made.kill_ns + 1_200 * MS) if outage else (-1, -1)
    available = _produce(made, tasks, rate, stalled)
    heapq.heapify(available)

    workers = [(0, consumer, w) for consumer in (0, 1) for w in range(4)]
    heapq.heapify(workers)
    while workers:
        now, consumer, w = heapq.heappop(workers)
        name = f"consumer-{consumer}/w{w}"
        if kill and consumer == 1 and now >= made.heal_ns:
            name += ".1"
        if stalled[0] <= now < stalled[1]:
            made.span(name, log.DEQUEUE, now, stalled[1], log.INFO, error=log.E_LOST)
            heapq.heappush(workers, (stalled[1] + w * MS, consumer, w))
            continue
        dying = kill and consumer == 1 and made.kill_ns - 30 * MS <= now < made.kill_ns
        if dying and w >= 2:
            made.add(name, now, log.INVOKE, log.DEQUEUE)  # blocks, and dies so
            heapq.heappush(workers, (made.heal_ns + w * MS, consumer, w))
            continue
        if dying:
            now = max(now, made.kill_ns - 10 * MS)
        while available and available[0][0] <= now:
            since, task = heapq.heappop(available)
            heapq.heappush(queue, (-(task % 3), since, task))
        if not queue:
            if not available:
                made.span(name, log.DEQUEUE, now, now + 50 * MS, log.FAIL)
                made.end_ns = max(made.end_ns, now + 50 * MS)
                continue
            wake = available[0][0] + 1
            if stalled[0] <= wake < stalled[1]:
                wake = stalled[0]
            if wake - now > 2 * MS:
                made.span(name, log.DEQUEUE, now, wake, log.FAIL)
            heapq.heappush(workers, (max(wake, now + 1), consumer, w))
            continue
        _, _, task = heapq.heappop(queue)
        took = now + 200_000
        made.span(name, log.DEQUEUE, now, took, task=task)
        if dying:
            made.add(name, took + 20_000, log.INVOKE, log.EXECUTE, task=task)
            made.lost.append(task)
            heapq.heappush(workers, (made.heal_ns + w * MS, consumer, w))
            continue
        ended = took + (4 + task % 7) * MS
        made.span(name, log.EXECUTE, took + 20_000, ended, task=task)
        made.span(name, log.COMPLETE, ended + 10_000, ended + 260_000, task=task)
        made.end_ns = max(made.end_ns, ended + 260_000)
        heapq.heappush(workers, (ended + 300_000, consumer, w))
    if kill or outage:
        for at, phase in ((0, log.INJECT), (2 * MS, log.LANDED), (S, log.HEAL), (S + 5 * MS, log.HEALED)):
            made.add("nemesis", made.kill_ns + at, log.INFO, log.NEMESIS, value=0, outcome=phase)
    made.span("drain", log.DRAIN, made.end_ns, made.end_ns + 20 * MS)
    return made


def _produce(made: Invented, tasks: int, rate: float, stalled: tuple[int, int]) -> list[tuple[int, int]]:
    available: list[tuple[int, int]] = []
    free = [0, 0]
    for task in range(tasks):
        producer = task % 2
        at = max(int(task / rate * S), free[producer])
        if stalled[0] <= at < stalled[1]:
            made.span(f"producer-{producer}", log.ENQUEUE, at, at + 300 * MS, log.INFO, task=task, error=log.E_TIMEOUT)
            made.indeterminate.append(task)
            free[producer] = at + 301 * MS
            continue
        took = 250_000 + (task * 7919 % 300) * 1_000
        made.span(f"producer-{producer}", log.ENQUEUE, at, at + took, task=task, priority=float(task % 3))
        available.append((at + took // 2, task))
        free[producer] = at + took + 1_000
    return available


def fault(made: Invented, kind: str = "kill", struck: Sequence[str] = ("consumer-1",), **more: Any) -> dict[str, Any]:
    """The fault of `made` as verdict.json tells it."""
    return {
        "kind": kind, "target": more.pop("target", "consumer"), "struck": list(struck),
        "injected_ns": ORIGIN_NS + made.kill_ns, "healed_ns": ORIGIN_NS + made.heal_ns,
        "landed": True, "proof": "its process, 4711, was gone 1.2 ms after SIGKILL",
        "healed": True, "heal_proof": "a new process answered after 212 ms", "in_flight": 4, "color": "#b5483d", **more,
    }  # fmt: skip


def verdict(made: Invented, history: History, scenario: str, backend: str, **more: Any) -> dict[str, Any]:
    """verdict.json of an invented run: its losses, found as a checker would find them."""
    acknowledged = int(((history.type == log.OK) & (history.f == log.ENQUEUE)).sum())
    executions = int(((history.type == log.INVOKE) & (history.f == log.EXECUTE)).sum())
    completed = int(((history.type == log.OK) & (history.f == log.COMPLETE)).sum())
    limit = more.pop("limit", None)
    findings = [
        {
            "anomaly": "lost", "tasks": [task], "evidence": [int(i) for i in (history.task == task).nonzero()[0]],
            "faults": [0], "limit": limit, "summary": f"task {task} was acknowledged and never completed",
        }
        for task in made.lost
    ]  # fmt: skip
    counts: dict[str, int | None] = dict.fromkeys(COUNT_NAMES, 0)
    counts |= {
        "attempted": acknowledged + len(made.indeterminate), "acknowledged": acknowledged,
        "indeterminate": len(made.indeterminate), "executions": executions, "completed": completed,
        "lost": len(made.lost), "lost_in_flight": len(made.lost),
    }  # fmt: skip
    validity = "invalid" if findings else "valid"
    return {
        "schema": "huey-harness/verdict/1", "run": "20260801T101500-ab12", "scenario": scenario, "backend": backend,
        "runtime": "local (namespaces, as root)", "seed": 7,
        "versions": {"huey": "3.5.4", "redis-py": "8.1.0", "server": "valkey 9.1.2", "python": "3.11.7"},
        "validity": validity, "reasons": [], "known_limits": [limit] if limit and findings else [],
        "counts": counts, "recovery_ms_max": 1204.0 if made.lost else None,
        "checks": [
            {"checker": "delivery", "validity": validity, "counts": {}, "reasons": [], "findings": findings},
            {"checker": "order", "validity": "valid", "counts": {}, "reasons": [], "findings": []},
        ],
        "faults": [fault(made)] if made.lost else [],
        "replay": f"pytest --huey-replay=reports/20260801T101500-ab12/{scenario}/{backend}", **more,
    }  # fmt: skip


def plan(scenario: str, backend: str, asks: str) -> dict[str, Any]:
    """plan.json of an invented run."""
    return {
        "scenario": {"apiVersion": "huey-harness/v1", "name": scenario, "asks": asks, "faults": [], "competing": 0},
        "backend": {
            "name": backend, "topology": "cluster", "order": "priority-fifo",
            "promises": [{"name": "no-loss", "under": ["none"]}],
            "limits": [{
                "name": "popped-before-run", "anomaly": "lost", "fault_class": "worker-crash",
                "why": "Huey removes a task from its queue before it runs it, so a killed worker takes it along.",
                "evidence": "worker-crash",
            }],
        },
        "seed": 7, "runtime": "local", "versions": {"huey": "3.5.4"}, "colours": {"kill": "#b5483d"},
    }  # fmt: skip


def roles(made: Invented, failover: bool = False) -> str:
    """samples/roles.jsonl: six nodes; with `failover`, node-1 falls silent and node-4 takes over."""
    slots = ("0-5460", "5461-10922", "10923-16383")
    lines = []
    for at in range(0, made.end_ns, 200 * MS):
        members = []
        for n in range(1, 7):
            primary, of = n <= 3, slots[(n - 1) % 3] if n <= 3 else f"node-{n - 3}"
            if failover and at >= made.kill_ns + S and n in (1, 4):
                primary, of = n == 4, slots[0] if n == 4 else "node-4"
            if failover and n == 1 and made.kill_ns <= at < made.heal_ns + 300 * MS:
                continue
            members.append({"name": f"node-{n}", "role": "primary" if primary else "replica", "of": of})
        lines.append(json.dumps({"time_ns": ORIGIN_NS + at, "members": members}))
    return "\n".join(lines) + "\n"


def write_result(
    run: Path, made: Invented, scenario: str, backend: str, *, asks: str = "", logs: dict[str, str] | None = None,
    failover: bool = False, **more: Any,
) -> Path:  # fmt: skip
    """A whole result's folder."""
    from harness.history.merge import read_run

    folder = run / scenario / backend
    write_logs(folder / "history", made.events)
    (folder / "samples").mkdir()
    (folder / "samples" / "roles.jsonl").write_text(roles(made, failover))
    (folder / "logs").mkdir()
    for name, text in (logs or {}).items():
        (folder / "logs" / f"{name}.txt").write_text(text)
    history = read_run(folder / "history")
    (folder / "plan.json").write_text(json.dumps(plan(scenario, backend, asks or "does it hold?")))
    (folder / "verdict.json").write_text(json.dumps(verdict(made, history, scenario, backend, **more)))
    return folder
