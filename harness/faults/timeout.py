"""`timeout`: a link lets connections be made, and nothing through; after a while it may close them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS
from harness.faults.toxic import Direction, Probe, ToxicFault, ToxicInjection, ToxicSpec
from harness.protocols import Exchange
from harness.scenario import Duration

_SILENCE_S = 0.1


class TimeoutSpec(ToxicSpec):
    """A link lets connections be made, and nothing through (Toxiproxy's `timeout`)."""

    kind: Literal["timeout"]
    close_after: Duration = Field(0.0, description="when it closes them; 0 = not before it is healed")
    direction: Direction = Field("both", description="which way nothing passes")
    color: ClassVar = "#1e8449"


class TimeoutInjection(ToxicInjection[TimeoutSpec]):
    """One such link, or several."""

    toxic = "timeout"
    classes_of = ("connection-loss", "partition")

    def attributes(self) -> Mapping[str, int]:
        """In milliseconds."""
        return {"timeout": round(self.asked.close_after * 1000)}

    def probe(self) -> Probe:
        """The same as ever, for a shorter time: that nothing comes takes as long to be seen."""
        usual = super().probe()
        return Probe(usual.request, usual.enough, _SILENCE_S)

    def shows(self, before: Exchange, now: Exchange) -> str:
        """It is connected, and has no answer."""
        return f"connected, and no answer ({now.end})" if now.connected_s is not None and not now.received else ""


FAULTS.register("timeout")(ToxicFault(TimeoutSpec, TimeoutInjection))
