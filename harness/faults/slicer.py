"""`slicer`: what passes a link comes in small pieces, with pauses between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS
from harness.faults.toxic import ANSWER_BYTES, Direction, Probe, ToxicFault, ToxicInjection, ToxicSpec, pings
from harness.protocols import Exchange
from harness.scenario import Duration

#: Answers of so many pieces are asked for; of fewer, where the pauses between them would take longer than this.
_PIECES, _PAUSES_S = 50, 0.1


class SlicerSpec(ToxicSpec):
    """What passes a link comes in small pieces: requests and answers are torn apart anywhere."""

    kind: Literal["slicer"]
    size: Annotated[int, Field(ge=1, le=4096)] = Field(16, description="bytes of a piece, on average")
    pause: Annotated[Duration, Field(gt=0, le=1)] = Field(0.001, description="between two pieces")
    direction: Direction = Field("both", description="which way of it is torn")
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    color: ClassVar = "#45b39d"


class SlicerInjection(ToxicInjection[SlicerSpec]):
    """One such torn link, or several."""

    toxic = "slicer"

    def attributes(self) -> Mapping[str, int]:
        """Bytes, and microseconds. Pieces vary by up to a half."""
        size = self.asked.size
        return {"average_size": size, "size_variation": size // 2, "delay": round(self.asked.pause * 1e6)}

    def probe(self) -> Probe:
        """Several pieces' worth of answers."""
        return pings(math.ceil(self.asked.size * self._pieces / ANSWER_BYTES))

    def shows(self, before: Exchange, now: Exchange) -> str:
        """They take half the pauses at least. Pieces cannot be counted: those that come close together are one."""
        if now.took_s < self.asked.pause * (self._pieces - 1) / 2:
            return ""
        return f"{now.received} bytes in {now.took_s * 1000:.0f} ms, in {before.took_s * 1000:.0f} ms before"

    @property
    def _pieces(self) -> int:
        return max(2, min(_PIECES, int(_PAUSES_S / self.asked.pause)))


FAULTS.register("slicer")(ToxicFault(SlicerSpec, SlicerInjection))
