"""`limit-data`: a connection ends when so many bytes have passed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Scene
from harness.faults.toxic import Probe, ToxicInjection, ToxicSpec, pings
from harness.protocols import Exchange

#: More answers than this are asked for by so many bytes.
_BEYOND = 200


class LimitDataSpec(ToxicSpec):
    """A connection is closed when so many bytes of answers have passed it, in the middle of one if need be."""

    kind: Literal["limit-data"]
    bytes: Annotated[int, Field(ge=1, le=1_000_000)] = Field(2000, description="how many pass on each connection")
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    color: ClassVar = "#52be80"


class LimitDataInjection(ToxicInjection):
    """One such link, or several."""

    toxic = "limit_data"
    classes_of = ("connection-loss", "partition")

    def __init__(self, spec: LimitDataSpec, scene: Scene, draw: int) -> None:
        super().__init__(spec, scene, draw)
        self._spec = spec

    def attributes(self) -> Mapping[str, int]:
        """Bytes."""
        return {"bytes": self._spec.bytes}

    def probe(self) -> Probe:
        """More answers than will pass."""
        return pings(self._spec.bytes // 7 + _BEYOND)

    def shows(self, before: Exchange, now: Exchange) -> str:
        """Just so many come, and then the end."""
        if now.received != self._spec.bytes or now.end == "open":
            return ""
        return f"{now.end} after {now.received} bytes of {before.received}"


class LimitData:
    """Registered as `limit-data`."""

    spec = LimitDataSpec

    def aim(self, spec: LimitDataSpec, scene: Scene, draw: int) -> LimitDataInjection:
        """At the links between the two roles, as they are now."""
        return LimitDataInjection(spec, scene, draw)


FAULTS.register("limit-data")(LimitData())
