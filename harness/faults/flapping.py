"""`flapping`: a partition that comes and goes; healed by letting packets pass for good."""

from __future__ import annotations

import threading
import time
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from harness.faults import FAULTS, Scene, SharingLinks
from harness.faults.links import CutLinks
from harness.faults.meanwhile import Meanwhile
from harness.faults.partition import TwoGroups, links_of
from harness.protocols import HarnessError
from harness.scenario import Duration

#: A cut takes a millisecond a link, in containers more: what changes faster would be all change.
EVERY_MIN_S = 0.1
CHANGES_MAX = 100_000
#: All links of a cluster changed once, on a busy machine.
STOP_TIMEOUT_S = 10.0


class FlappingSpec(TwoGroups):
    """Packets between two groups are dropped for a while, let pass for as long, dropped again, and so on."""

    kind: Literal["flapping"]
    every: Duration = Field(0.5, description="how long the links stay cut, and then whole; 100ms at least")
    color: ClassVar = "#a569bd"

    @field_validator("every")
    @classmethod
    def _long_enough(cls, every: float) -> float:
        if every < EVERY_MIN_S:
            raise ValueError("must be 100ms at least")
        return every


class FlappingInjection(CutLinks):
    """One such partition."""

    def __init__(self, spec: FlappingSpec, scene: Scene, draw: int) -> None:
        super().__init__(scene, *links_of(spec, scene, draw))
        self._every_s = spec.every
        self._meanwhile = Meanwhile("a flapping partition", self._flap)
        self._cut = 0
        self._begun_s = time.monotonic()
        self._in_force_s = 0.0

    def inject(self) -> str:
        """Cut for the first time, as any partition is; the rest follows while it is in force."""
        proof = super().inject()
        self._cut = 1
        self._begun_s = time.monotonic()
        self._meanwhile.start()
        return f"{proof}; again every {self._every_s:g} s"

    def heal(self) -> None:
        """Stop, and restore every link in any case."""
        self._in_force_s = time.monotonic() - self._begun_s
        try:
            self._meanwhile.stop(STOP_TIMEOUT_S)
        finally:
            super().heal()

    def healed(self) -> str:
        """As any partition is; and it must have been seen to come back."""
        self._meanwhile.check()
        proof = super().healed()
        if self._cut < 2 and self._in_force_s > 3 * self._every_s:
            raise HarnessError(
                f"in {self._in_force_s:.1f} s the links were cut once, and not every {self._every_s:g} s"
            )
        return f"cut {self._cut} times; {proof}"

    def _flap(self, stop: threading.Event) -> None:
        names = self._names()
        for change in range(CHANGES_MAX):
            if stop.wait(self._every_s):
                return
            whole = change % 2 == 0
            if whole:
                super().heal()
            else:
                self.cut()
            # What another fault cuts as well is not whole when this one lets go of it.
            runtime = self.scene.runtime
            seen = names & (runtime.cuts_of_its_own() if isinstance(runtime, SharingLinks) else runtime.cuts())
            if seen != (frozenset() if whole else names):
                raise HarnessError(f"{len(seen)} of {len(names)} links are cut after change {change + 1}")
            self._cut += not whole


class Flapping:
    """Registered as `flapping`."""

    spec = FlappingSpec

    def aim(self, spec: FlappingSpec, scene: Scene, draw: int) -> FlappingInjection:
        """Between the target and the other side."""
        return FlappingInjection(spec, scene, draw)


FAULTS.register("flapping")(Flapping())
