"""`reset`: connections of a link end with a TCP reset, open ones at once, new ones as soon as they are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from harness.faults import FAULTS
from harness.faults.toxic import ToxicFault, ToxicInjection, ToxicSpec
from harness.protocols import Exchange


class ResetSpec(ToxicSpec):
    """Connections of a link are reset, open ones and those that are made anew."""

    kind: Literal["reset"]
    color: ClassVar = "#0e6251"


class ResetInjection(ToxicInjection[ResetSpec]):
    """One such link, or several."""

    toxic = "reset_peer"
    classes_of = ("connection-loss", "partition")

    def attributes(self) -> Mapping[str, int]:
        """At once."""
        return {"timeout": 0}

    def shows(self, before: Exchange, now: Exchange) -> str:
        """A new connection is reset before it has an answer."""
        return "reset, without an answer" if now.answered_s is None and now.end == "reset" else ""


FAULTS.register("reset")(ToxicFault(ResetSpec, ResetInjection))
