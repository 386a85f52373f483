"""`reply-loss`: requests are carried out, and the connection ends instead of answering.

To its client this looks like a server that died before it did anything: whoever sends the request again has it done
twice. Toxiproxy's `limit_data` of no bytes does it, on open connections as on new ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from harness.faults import FAULTS
from harness.faults.toxic import Probe, ToxicFault, ToxicInjection, ToxicSpec
from harness.protocols import Exchange, HarnessError

#: Nobody else sends it, so that the server's own count of it tells.
_COMMAND = "echo"


class ReplyLossSpec(ToxicSpec):
    """Requests are carried out, and the connection is closed instead of answering."""

    kind: Literal["reply-loss"]
    #: Who asks a sentinel changes nothing there; and it counts no requests (sentinel.c, sentinelInfoCommand).
    targets: ClassVar = tuple(role for role in ToxicSpec.targets if role != "sentinel")
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    color: ClassVar = "#b03a2e"


class ReplyLossInjection(ToxicInjection[ReplyLossSpec]):
    """One such link, or several."""

    toxic = "limit_data"
    classes_of = ("connection-loss", "partition")

    def attributes(self) -> Mapping[str, int]:
        """Not a byte of an answer."""
        return {"bytes": 0}

    def probe(self) -> Probe:
        """A request that the server counts."""
        return Probe(f"{_COMMAND} lost\r\n".encode())

    def shows(self, before: Exchange, now: Exchange) -> str:
        """The connection ends, without an answer."""
        return f"{now.end}, without an answer" if not now.received and now.end in ("closed", "reset") else ""

    def inject(self) -> str:
        """As every toxic; and see that servers carried out what had no answer."""
        targets = {target.spec.name: target for _, target in self._before}
        before = {name: self._carried_out(target) for name, target in targets.items()}
        proof = super().inject()
        asked = Counter(target.spec.name for _, target in self._before)
        for name, target in targets.items():
            done = self._carried_out(target) - before[name]
            if done < asked[name]:
                raise HarnessError(f"{name} carried out {done} of {asked[name]} requests, by its own count")
        return f"{proof}; servers carried out each of them, by their own count"

    def _carried_out(self, node: Any) -> int:
        """How many such requests a server has got: carried out, or refused for want of a login."""
        for line in str(self.scene.topology.ask(node, "INFO", "commandstats")).splitlines():
            name, _, fields = line.partition(":")
            if name == f"cmdstat_{_COMMAND}":
                counts = dict(field.split("=") for field in fields.split(","))
                return int(counts["calls"]) + int(counts.get("rejected_calls", 0))
        return 0


FAULTS.register("reply-loss")(ToxicFault(ReplyLossSpec, ReplyLossInjection))
