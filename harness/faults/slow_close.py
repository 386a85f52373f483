"""`slow-close`: when one side closes a connection, the other side is told late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS
from harness.faults.toxic import Probe, ToxicFault, ToxicInjection, ToxicSpec
from harness.protocols import Exchange
from harness.scenario import Duration

#: No request of their protocol: servers and sentinels say so, and close (networking.c, setProtocolError).
_NO_REQUEST = b"*x\r\n"
#: So long is looked for the end at most.
_SEEN_S = 0.15
#: Longer than the answer: it is received to its end.
_TO_THE_END = 1 << 16


class SlowCloseSpec(ToxicSpec):
    """When a server closes a connection, its client is told late: as if it were there still."""

    kind: Literal["slow-close"]
    delay: Duration = Field(1.0, description="how late")
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    color: ClassVar = "#73c6b6"


class SlowCloseInjection(ToxicInjection[SlowCloseSpec]):
    """One such link, or several."""

    toxic = "slow_close"
    classes_of = ("connection-loss", "partition")

    def attributes(self) -> Mapping[str, int]:
        """In milliseconds."""
        return {"delay": round(self.asked.delay * 1000)}

    def probe(self) -> Probe:
        """A connection that the server closes."""
        return Probe(_NO_REQUEST, _TO_THE_END, within_s=min(self.asked.delay, _SEEN_S) + 0.05)

    def shows(self, before: Exchange, now: Exchange) -> str:
        """Its end comes late, or has not come yet."""
        if before.end != "closed" or now.took_s < min(self.asked.delay, _SEEN_S):
            return ""
        return f"told of the end after {now.took_s * 1000:.0f} ms or later, {before.took_s * 1000:.1f} ms before"


FAULTS.register("slow-close")(ToxicFault(SlowCloseSpec, SlowCloseInjection))
