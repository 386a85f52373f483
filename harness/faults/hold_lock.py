"""`hold-lock`: somebody else holds the lock that everything in the storage needs; healed by letting it go."""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from harness.faults import FAULTS, Scene
from harness.faults.storage_locks import lock_of
from harness.faults.targets import READY_TIMEOUT_S
from harness.protocols import DeadlineExceeded, HarnessError
from harness.scenario import FaultSpec


class HoldLockSpec(FaultSpec):
    """Somebody else holds the lock that whoever uses the storage needs, as a backup or a migration does."""

    kind: Literal["hold-lock"]
    targets: ClassVar = ("storage",)
    topologies: ClassVar = frozenset({"folder", "postgres"})
    color: ClassVar = "#7b7d7d"


class HoldLockInjection:
    """One such lock."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        name, self._lock = lock_of(scene)
        self.struck: tuple[str, ...] = (name,)
        self.classes: tuple[str, ...] = (self._lock.fault_class,)

    def inject(self) -> str:
        """Take it; see that another one does not get it."""
        self._lock.take()
        if not self._lock.is_held():
            raise HarnessError(f"{self._lock.name} was locked, and another one got it too")
        return f"{self._lock.name}: locked by us, and another one does not get it"

    def heal(self) -> None:
        """Let it go."""
        self._lock.release()

    def healed(self) -> str:
        """See it be had again, in between the others."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while self._lock.is_held():
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"waited {READY_TIMEOUT_S:g} s for {self._lock.name} to be free for a moment")
            time.sleep(0.0005)
        self._scene.topology.wait_ready(READY_TIMEOUT_S)
        return f"{self._lock.name}: others get the lock again"


class HoldLock:
    """Registered as `hold-lock`."""

    spec = HoldLockSpec

    def aim(self, spec: HoldLockSpec, scene: Scene, draw: int) -> HoldLockInjection:
        """At the storage."""
        return HoldLockInjection(scene)


FAULTS.register("hold-lock")(HoldLock())
