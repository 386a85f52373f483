"""The same fault of several processes at once: struck side by side, healed side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from harness.faults import Injection, Scene
from harness.faults.targets import GROUPS, one, several, up, wait_busy
from harness.protocols import Node

AT_ONCE_MAX = 16

Answer = TypeVar("Answer")


class AtOnce:
    """One injection made of several. What any of them raises is raised, once all have been tried."""

    def __init__(self, injections: Sequence[Injection]) -> None:
        self._injections = tuple(injections)
        self.struck = tuple(dict.fromkeys(name for one in injections for name in one.struck))

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of all of them."""
        return tuple(dict.fromkeys(name for one in self._injections for name in one.classes))

    def inject(self) -> str:
        """Strike all; the proofs."""
        return "; ".join(self._all(lambda injection: injection.inject()))

    def heal(self) -> None:
        """Heal all."""
        self._all(lambda injection: injection.heal())

    def healed(self) -> str:
        """See all well again; the proofs."""
        # One after the other: servers agree all at once, and what one waited for the next one finds.
        return "; ".join([injection.healed() for injection in self._injections])

    def _all(self, act: Callable[[Injection], Answer]) -> list[Answer]:
        with ThreadPoolExecutor(min(AT_ONCE_MAX, len(self._injections)), thread_name_prefix="at-once") as pool:
            return list(pool.map(act, self._injections))


def at(role: str, scene: Scene, draw: int, strike: Callable[[Node], Injection]) -> Injection:
    """That fault, aimed at the role's node, or at all of them where the role is a group. Raises HarnessError."""
    if role not in GROUPS:
        return strike(one(role, scene, draw))
    found = up(several(role, scene))
    busy = next((node for node in found if node.spec.name in scene.consumers), None)
    if busy is not None:
        wait_busy(scene, busy)
    return AtOnce([strike(node) for node in found])
