"""What faults of one process have in common: whom they strike, and when a server, or an agent, is well again."""

from __future__ import annotations

import signal
import time

from harness.faults import Scene
from harness.faults.targets import AGENT_TIMEOUT_S, FAILS_OVER, READY_TIMEOUT_S, is_agent
from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeState

#: What servers, and containers, take by themselves.
SERVERS_TAKE = (
    "A server of a cluster takes no writes for 2 s after its start (cluster_legacy.c, CLUSTER_WRITABLE_DELAY), a "
    "replica looks for its primary once a second (replication.c, replicationCron), and sentinels look at servers once "
    "a second. To end or start a container takes the engine some tenths of a second."
)
#: The class of a crashed primary that is started again before anyone has taken over: what its disk has is all there is
#: then, whatever its replicas have (Redis docs: replication), and with `appendfsync everysec` that may be less than it
#: acknowledged (aof.c, flushAppendOnlyFile).
EARLY_RETURN = "early-return"


class OneProcess:
    """A fault of one server or agent; how it is injected is its own affair. It is undone by starting it again."""

    def __init__(self, scene: Scene, node: Node, *classes: str) -> None:
        self.scene, self.node = scene, node
        self.classes: tuple[str, ...] = classes
        self.name = node.spec.name
        self.struck: tuple[str, ...] = (self.name,)
        self._healed_from_ns = 0

    def must_be_up(self) -> None:
        """Raise HarnessError where it has ended already: then nothing that is seen of it was this fault's doing."""
        if self.node.state() is NodeState.EXITED:
            raise HarnessError(f"{self.name} had ended before it was struck")

    def heal(self) -> None:
        """Undo it."""
        self._healed_from_ns = time.monotonic_ns()
        self.undo()

    def undo(self) -> None:
        """Start it again, if it has ended."""
        if self.node.state() is NodeState.EXITED:
            self.start_again()

    def start_again(self) -> None:
        """Start it from what it has on its disk."""
        crashed = "failover" in self.classes and self.node.exit_status() == -signal.SIGKILL
        if crashed and EARLY_RETURN not in self.classes and _unreplaced(self.scene, self.node):
            self.classes += (EARLY_RETURN,)
        self.node.start()

    def healed(self) -> str:
        """See it work again."""
        return well_again(self.scene, self.node, self._healed_from_ns)


def classes_of(scene: Scene, node: Node, of_worker: str, of_node: str) -> tuple[str, ...]:
    """The classes of a fault that may strike either; what strikes a primary may have a replica take over."""
    if is_agent(node.spec.name, scene):
        return (of_worker,)
    if scene.topology.kind in FAILS_OVER and _is_primary(scene, node):
        return (of_node, "failover")
    return (of_node,)


def _is_primary(scene: Scene, node: Node) -> bool:
    """Whether that node is a primary now."""
    return any(m.name == node.spec.name and m.role == "primary" for m in scene.topology.members())


def _unreplaced(scene: Scene, node: Node) -> bool:
    """Whether the others take it for the queue's primary still, or none of them is there to say."""
    try:
        return scene.topology.primary_of(scene.queue_key).spec.name == node.spec.name
    except HarnessError:
        return True


def well_again(scene: Scene, node: Node, since_ns: int) -> str:
    """Wait until a struck process works again; what was seen. Raises DeadlineExceeded.

    An agent works when it has written a record since; servers, when all of them agree again.
    """
    name = node.spec.name
    if not is_agent(name, scene):
        scene.topology.wait_ready(READY_TIMEOUT_S)
        return f"{name} runs, and all servers agree again"
    deadline = time.monotonic() + AGENT_TIMEOUT_S
    while scene.agents.last_record_ns(name) <= since_ns:
        if name in scene.producers and node.exit_status() == 0:
            return f"{name} ran, and had nothing more to enqueue"
        if node.state() is not NodeState.RUNNING:
            raise DeadlineExceeded(f"{name} did not stay up: {node.state().value}, exit status {node.exit_status()}")
        if time.monotonic() > deadline:
            raise DeadlineExceeded(f"waited {AGENT_TIMEOUT_S:g} s for {name} to record something again")
        time.sleep(0.005)
    return f"{name} runs, and records operations again"
