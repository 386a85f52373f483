"""`latency`: what passes a link comes late, each chunk by as much as was said, give or take a jitter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS
from harness.faults.toxic import PROBE_S, Direction, ToxicFault, ToxicInjection, ToxicSpec
from harness.protocols import Exchange
from harness.scenario import Duration


class LatencySpec(ToxicSpec):
    """What passes a link comes late."""

    kind: Literal["latency"]
    latency: Duration = Field(0.1, description="by how much")
    jitter: Duration = Field(0.0, description="give or take so much, evenly spread")
    direction: Direction = Field("from-target", description="which way of it is slow")
    color: ClassVar = "#148f77"


class LatencyInjection(ToxicInjection[LatencySpec]):
    """One such slow link, or several."""

    toxic = "latency"

    def attributes(self) -> Mapping[str, int]:
        """In milliseconds."""
        return {"latency": round(self.asked.latency * 1000), "jitter": round(self.asked.jitter * 1000)}

    def shows(self, before: Exchange, now: Exchange) -> str:
        """The answer takes at least as long; or none has come yet."""
        assert before.answered_s is not None
        answered = now.answered_s if now.answered_s is not None else now.took_s
        if answered < min(self.asked.latency - self.asked.jitter, PROBE_S):
            return ""
        return f"answered after {answered * 1000:.0f} ms, {before.answered_s * 1000:.1f} ms before"


FAULTS.register("latency")(ToxicFault(LatencySpec, LatencyInjection))
