"""The nemesis: strikes when the workload has come as far as the plan says, heals, and writes down what it saw."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.faults import FAULTS, Counting, Injection, Scene
from harness.history import log
from harness.history.log import LogWriter
from harness.plan import Plan
from harness.progress import Progress
from harness.protocols import FaultRecord, HarnessError
from harness.scenario import Trigger


@dataclass
class _Active:
    record: FaultRecord
    injection: Injection
    heal_at: float


class Nemesis:
    """Carries out the plan's faults, each at its moment; several may be in force at once."""

    def __init__(self, plan: Plan, scene: Scene, progress: Progress, folder: Path) -> None:
        self._plan = plan
        self._scene = scene
        self._progress = progress
        self._log = LogWriter(folder / "nemesis.log", "nemesis")
        self._pending = list(range(len(plan.scenario.faults)))
        self._active: list[_Active] = []
        self._done: dict[int, FaultRecord] = {}
        self._began = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether every fault has struck and was healed, or failed to."""
        return not self._pending and not self._active

    @property
    def in_force(self) -> tuple[str, ...]:
        """What is being done now, in words."""
        return tuple(f"{one.record.kind} {', '.join(one.record.struck)}" for one in self._active)

    def begin(self) -> None:
        """The workload begins now."""
        self._began = time.monotonic()

    def step(self) -> None:
        """Strike what is due, heal what is over."""
        for index in list(self._pending):
            if self._due(self._plan.scenario.faults[index].at):
                self._pending.remove(index)
                self._inject(index)
        for active in list(self._active):
            if time.monotonic() >= active.heal_at:
                self._active.remove(active)
                self._heal(active)

    def give_up(self, why: str) -> None:
        """What has not struck yet never will."""
        for index in self._pending:
            self._write(log.NOT_LANDED, index)
            self._done[index] = self._blank(index, time.monotonic_ns(), why)
        self._pending.clear()

    def heal_all(self) -> None:
        """Heal whatever is in force, now."""
        while self._active:
            self._heal(self._active.pop())

    def records(self) -> tuple[FaultRecord, ...]:
        """All faults as they went, in the plan's order."""
        return tuple(self._done[index] for index in sorted(self._done))

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def _due(self, at: Trigger) -> bool:
        if at.elapsed is not None:
            return time.monotonic() - self._began >= at.elapsed
        progress = self._progress
        return any(
            share is not None and count >= share * self._plan.tasks
            for share, count in (
                (at.acknowledged, progress.acknowledged),
                (at.completed, progress.completed),
                (at.popped, progress.popped),
            )
        )

    def _inject(self, index: int) -> None:
        spec = self._plan.scenario.faults[index]
        fault = FAULTS.get(spec.kind)
        try:
            injection = fault.aim(spec, self._scene, self._plan.faults[index].draw)
        except HarnessError as error:
            self._write(log.NOT_LANDED, index)
            self._done[index] = self._blank(index, time.monotonic_ns(), f"found no target: {error}")
            return
        self._write(log.INJECT, index)
        injected_ns = time.monotonic_ns()
        landed, proof = _seen(injection.inject)
        self._write(log.LANDED if landed else log.NOT_LANDED, index)
        record = replace(
            self._blank(index, injected_ns, proof),
            struck=injection.struck,
            classes=injection.classes,
            landed=landed,
            landed_ns=time.monotonic_ns() if landed else None,
            counts=_counted(injection),
        )
        self._active.append(_Active(record, injection, time.monotonic() + spec.for_))

    def _heal(self, active: _Active) -> None:
        index = active.record.index
        self._write(log.HEAL, index)

        def heal() -> str:
            active.injection.heal()
            return active.injection.healed()

        healed, proof = _seen(heal)
        self._write(log.HEALED if healed else log.NOT_HEALED, index)
        self._done[index] = replace(
            active.record,
            healed=healed,
            heal_proof=proof,
            healed_ns=time.monotonic_ns() if healed else None,
            counts=_counted(active.injection),
        )

    def _blank(self, index: int, now_ns: int, proof: str) -> FaultRecord:
        fault = self._plan.scenario.faults[index]
        return FaultRecord(
            index=index, kind=fault.kind, target=fault.target, struck=(), classes=(), injected_ns=now_ns,
            landed=False, proof=proof, healed_ns=None, healed=False, heal_proof="", color=fault.color,
            in_flight_min=fault.in_flight,
        )  # fmt: skip

    def _write(self, phase: int, index: int) -> None:
        self._log.write(log.INFO, log.NEMESIS, value=index, outcome=phase)


def _counted(injection: Injection) -> dict[str, int]:
    return dict(injection.counts) if isinstance(injection, Counting) else {}


def _seen(act: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, act()
    except HarnessError as error:
        return False, str(error)
