"""`limit-data`: a connection ends when so many bytes have passed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS
from harness.faults.toxic import Probe, ToxicFault, ToxicInjection, ToxicSpec, pings
from harness.protocols import Exchange

#: More answers than this are asked for by so many bytes.
_BEYOND = 200


class LimitDataSpec(ToxicSpec):
    """A connection is closed when so many bytes of answers have passed it, in the middle of one if need be."""

    kind: Literal["limit-data"]
    bytes: Annotated[int, Field(ge=1, le=1_000_000)] = Field(2000, description="how many pass on each connection")
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    color: ClassVar = "#52be80"


class LimitDataInjection(ToxicInjection[LimitDataSpec]):
    """One such link, or several."""

    toxic = "limit_data"
    classes_of = ("connection-loss", "partition")

    def attributes(self) -> Mapping[str, int]:
        """Bytes."""
        return {"bytes": self.asked.bytes}

    def probe(self) -> Probe:
        """More answers than will pass."""
        return pings(self.asked.bytes // 7 + _BEYOND)

    def shows(self, before: Exchange, now: Exchange) -> str:
        """Just so many come, and then the end."""
        if now.received != self.asked.bytes or now.end == "open":
            return ""
        return f"{now.end} after {now.received} bytes of {before.received}"


FAULTS.register("limit-data")(ToxicFault(LimitDataSpec, LimitDataInjection))
