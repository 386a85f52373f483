"""`bandwidth`: a link lets pass no more than so many kilobytes a second."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS
from harness.faults.toxic import Direction, Probe, ToxicFault, ToxicInjection, ToxicSpec, pings
from harness.protocols import Exchange

#: How long answers take that are as large as the probe asks for.
_PROBE_S = 0.15
_BYTES_PER_PING = 6


class BandwidthSpec(ToxicSpec):
    """A link lets pass no more than so much a second."""

    kind: Literal["bandwidth"]
    rate: Annotated[int, Field(ge=1, le=1000)] = Field(20, description="kilobytes a second, each way that is struck")
    direction: Direction = Field("from-target", description="which way of it is narrow")
    #: A server that wants TLS, or PostgreSQL, does not answer many requests at once to somebody it does not know.
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    color: ClassVar = "#1abc9c"


class BandwidthInjection(ToxicInjection[BandwidthSpec]):
    """One such narrow link, or several."""

    toxic = "bandwidth"

    def attributes(self) -> Mapping[str, int]:
        """In kilobytes a second."""
        return {"rate": self.asked.rate}

    def probe(self) -> Probe:
        """As many requests as fill it for a moment."""
        return pings(math.ceil(self.asked.rate * 1000 * _PROBE_S / _BYTES_PER_PING))

    def shows(self, before: Exchange, now: Exchange) -> str:
        """It takes that moment at least: Toxiproxy lets a chunk pass when its time is over."""
        if now.took_s < _PROBE_S * 0.9:
            return ""
        return f"{now.received} bytes in {now.took_s * 1000:.0f} ms, in {before.took_s * 1000:.0f} ms before"


FAULTS.register("bandwidth")(ToxicFault(BandwidthSpec, BandwidthInjection))
