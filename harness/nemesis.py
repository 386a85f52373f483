"""The nemesis: strikes when the workload has come as far as the plan says, heals, and writes down what it saw.

Faults may overlap. Each is undone at its own time; that it healed is looked for when nothing is in force any more: only
then do all servers agree, and all agents work. What strikes the same victim:

- Links that several faults cut are open again when the last of them has let go (`links.py`).
- A fault that cuts links goes together with any other on the same node.
- Of all others only one has a victim at a time, until it was seen healed: who was only just started again cannot be
  told to stop. A second one is put off until something has been undone, or healed. So is one that finds no target
  while others are in force. Put off for good, it did not land.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.faults import FAULTS, Counting, Injection, Scene
from harness.faults.links import CutLinks
from harness.history import log
from harness.history.log import LogWriter
from harness.links import SharedLinks
from harness.plan import Plan
from harness.progress import Progress
from harness.protocols import FaultRecord, HarnessError
from harness.scenario import FaultSpec
from harness.triggers import Moments


@dataclass
class _Struck:
    record: FaultRecord
    injection: Injection
    heal_at: float


class Nemesis:
    """Carries out the plan's faults, each at its moment; several may be in force at once."""

    def __init__(self, plan: Plan, scene: Scene, progress: Progress, folder: Path) -> None:
        self._plan = plan
        self._scene = scene
        self._links = SharedLinks(scene.runtime)
        self._log = LogWriter(folder / "nemesis.log", "nemesis")
        self._moments = Moments(plan.tasks, progress)
        self._pending = list(range(len(plan.scenario.faults)))
        #: Faults whose moment came while others were in their way, and what was.
        self._put_off: dict[int, str] = {}
        self._in_force: list[_Struck] = []
        #: Undone, and not seen to have healed yet.
        self._undone: list[_Struck] = []
        self._done: dict[int, FaultRecord] = {}

    @property
    def over(self) -> bool:
        """Whether every fault has struck and was healed, or failed to."""
        return not (self._pending or self._in_force or self._undone)

    @property
    def in_force(self) -> tuple[str, ...]:
        """What is being done now, in words."""
        return tuple(f"{one.record.kind} {', '.join(one.record.struck)}" for one in self._in_force)

    @property
    def struck(self) -> frozenset[str]:
        """Nodes and agents that are being struck now: that one of them has ended is no fault of its own."""
        return frozenset(name for one in (*self._in_force, *self._undone) for name in one.record.struck)

    def begin(self) -> None:
        """The workload begins now."""
        self._moments.begin()

    def step(self) -> None:
        """Strike what is due, undo what is over, and see it healed when nothing is in force."""
        for index in list(self._pending):
            if index not in self._put_off and self._moments.due(index, self._spec(index).at, self._victims):
                self._strike(index)
            # To inject may have taken a while.
            self._undo_what_is_over()
        self._undo_what_is_over()
        if not self._in_force:
            self._see_healed()

    def give_up(self, why: str) -> None:
        """What has not struck yet never will."""
        for index in self._pending:
            put_off = self._put_off.get(index)
            self._not_landed(index, why if put_off is None else f"{why}; it was put off, since {put_off}")
        self._pending.clear()

    def heal_all(self) -> None:
        """Heal whatever is in force, now: the last first, and whatever becomes of one, the others too."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._see_healed)
            for one in list(self._in_force):
                stack.callback(self._undo, one)

    def records(self) -> tuple[FaultRecord, ...]:
        """All faults as they went, in the plan's order."""
        return tuple(self._done[index] for index in sorted(self._done))

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    @property
    def _victims(self) -> frozenset[str]:
        """All whom faults have struck that are in force, or of whom it was not seen yet that they are well."""
        return frozenset(name for one in self._not_well for name in one.record.struck)

    @property
    def _not_well(self) -> list[_Struck]:
        undone = (one for one in self._undone if not _cuts_links(self._spec(one.record.index)))
        return [*self._in_force, *undone]

    def _spec(self, index: int) -> FaultSpec:
        spec: FaultSpec = self._plan.scenario.faults[index]
        return spec

    def _strike(self, index: int) -> None:
        spec = self._spec(index)
        meant = self._moments.meant(spec.at, self._victims)
        scene = replace(self._scene, runtime=self._links.view(index), struck=self._victims, meant=meant)
        try:
            injection = FAULTS.get(spec.kind).aim(spec, scene, self._plan.faults[index].draw)
            self._must_be_free(spec, injection)
        except HarnessError as error:
            if self._in_force or self._undone:  # which may be why
                self._put_off[index] = str(error)
                return
            self._pending.remove(index)
            self._not_landed(index, f"found no target: {error}")
            return
        self._pending.remove(index)
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
            links=_cut(injection),
        )
        self._in_force.append(_Struck(record, injection, time.monotonic() + spec.for_))

    def _must_be_free(self, spec: FaultSpec, injection: Injection) -> None:
        """Raise HarnessError where another fault still has a victim of this one, and both are of its processes."""
        if _cuts_links(spec):
            return
        for one in self._not_well:
            common = set(one.record.struck) & set(injection.struck)
            if common and not _cuts_links(self._spec(one.record.index)):
                raise HarnessError(f"fault {one.record.index} ({one.record.kind}) had {', '.join(sorted(common))}")

    def _undo_what_is_over(self) -> None:
        for one in list(self._in_force):
            if time.monotonic() >= one.heal_at:
                self._undo(one)

    def _undo(self, one: _Struck) -> None:
        self._in_force.remove(one)
        self._put_off.clear()  # they look again
        self._write(log.HEAL, one.record.index)

        def heal() -> str:
            one.injection.heal()
            return ""

        undone, why_not = _seen(heal)
        if not undone:
            self._healed(one, False, why_not)
            return
        one.record = replace(one.record, undone_ns=time.monotonic_ns())
        self._undone.append(one)

    def _see_healed(self) -> None:
        """Look whether all that was undone has healed."""
        while self._undone:
            one = self._undone.pop(0)
            self._healed(one, *_seen(one.injection.healed))
            self._put_off.clear()  # they look again

    def _healed(self, one: _Struck, healed: bool, proof: str) -> None:
        index = one.record.index
        self._write(log.HEALED if healed else log.NOT_HEALED, index)
        self._done[index] = replace(
            one.record,
            classes=one.injection.classes,
            healed=healed,
            heal_proof=proof,
            healed_ns=time.monotonic_ns() if healed else None,
            counts=_counted(one.injection),
        )

    def _not_landed(self, index: int, why: str) -> None:
        self._write(log.NOT_LANDED, index)
        self._done[index] = self._blank(index, time.monotonic_ns(), why)

    def _blank(self, index: int, now_ns: int, proof: str) -> FaultRecord:
        fault = self._spec(index)
        return FaultRecord(
            index=index, kind=fault.kind, target=fault.target, struck=(), classes=(), injected_ns=now_ns,
            landed=False, proof=proof, healed_ns=None, healed=False, heal_proof="", color=fault.color,
            in_flight_min=fault.in_flight,
        )  # fmt: skip

    def _write(self, phase: int, index: int) -> None:
        self._log.write(log.INFO, log.NEMESIS, value=index, outcome=phase)


def _counted(injection: Injection) -> dict[str, int]:
    return dict(injection.counts) if isinstance(injection, Counting) else {}


def _cut(injection: Injection) -> tuple[tuple[str, str], ...]:
    if not isinstance(injection, CutLinks):
        return ()
    return tuple((source.spec.name, target.spec.name) for source, target in injection.links)


def _cuts_links(spec: FaultSpec) -> bool:
    """Whether the fault leaves processes alone: then others may strike the same node meanwhile."""
    return "links" in type(spec).needs


def _seen(act: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, act()
    except HarnessError as error:
        return False, str(error)
