"""`reset`: connections of a link end with a TCP reset, open ones at once, new ones as soon as they are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from harness.faults import FAULTS, Scene
from harness.faults.toxic import ToxicInjection, ToxicSpec
from harness.protocols import Exchange


class ResetSpec(ToxicSpec):
    """Connections of a link are reset, open ones and those that are made anew."""

    kind: Literal["reset"]
    color: ClassVar = "#0e6251"


class ResetInjection(ToxicInjection):
    """One such link, or several."""

    toxic = "reset_peer"
    classes_of = ("connection-loss", "partition")

    def attributes(self) -> Mapping[str, int]:
        """At once."""
        return {"timeout": 0}

    def shows(self, before: Exchange, now: Exchange) -> str:
        """A new connection is reset before it has an answer."""
        return "reset, without an answer" if now.answered_s is None and now.end == "reset" else ""


class Reset:
    """Registered as `reset`."""

    spec = ResetSpec

    def aim(self, spec: ResetSpec, scene: Scene, draw: int) -> ResetInjection:
        """At the links between the two roles, as they are now."""
        return ResetInjection(spec, scene, draw)


FAULTS.register("reset")(Reset())
