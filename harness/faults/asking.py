"""What faults ask Redis servers: settings, figures, and questions that may not be answered for a while."""

from __future__ import annotations

import threading

from harness.protocols import HarnessError, Node, Topology

#: A key of our own that we leave behind is gone by then.
PROBE_EXPIRES_S = 600


def setting(topology: Topology, node: Node, name: str) -> str:
    """What CONFIG GET says of one setting."""
    answer = topology.ask(node, "CONFIG", "GET", name)
    # A map or a list of two, by the version of the protocol.
    return str(answer[name] if isinstance(answer, dict) else answer[1])


def info(topology: Topology, node: Node, section: str) -> dict[str, str]:
    """One section of INFO, as it stands there."""
    lines = str(topology.ask(node, "INFO", section)).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def watched(topology: Topology, sentinel: Node) -> dict[str, str]:
    """What a sentinel tells of the primary that it watches."""
    told = topology.ask(sentinel, "SENTINEL", "MASTER", str(topology.connection()["service_name"]))
    # A map or a flat list, by the version of the protocol.
    return {**told} if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))


def take_a_write(topology: Topology, queue_key: str) -> str:
    """Have the queue's primary, whoever that is now, take a write beside the queue, and undo it; its name.

    Raises HarnessError when it refuses.
    """
    primary = topology.primary_of(queue_key)
    probe = f"{queue_key}.probe"
    topology.ask(primary, "SET", probe, "x", "EX", PROBE_EXPIRES_S)
    topology.ask(primary, "DEL", probe)
    return primary.spec.name


class Question:
    """One command, sent at once by a thread of its own.

    That ends with the answer, or when the control channel gives it up (0.5 s). The server goes on with what it has
    begun, whether or not anybody still waits for it.
    """

    def __init__(self, topology: Topology, node: Node, *command: str | int) -> None:
        self._said: str | None = None
        self._thread = threading.Thread(target=self._ask, args=(topology, node, command), daemon=True)
        self._thread.start()

    def _ask(self, topology: Topology, node: Node, command: tuple[str | int, ...]) -> None:
        try:
            self._said = str(topology.ask(node, *command))
        except HarnessError as error:
            self._said = str(error)

    def answer(self, timeout_s: float) -> str | None:
        """What came of it, an error in words included; None = nothing within this time."""
        self._thread.join(timeout_s)
        return self._said
