"""`restart`: a server or a consumer is stopped as operators stop it, and started again at once, with its data.

A server that is told to stop writes what it has to its disk first (Redis docs: signals, SIGTERM), so class
`node-restart` is no `node-crash`. A consumer that is told to stop cuts off what runs (class `worker-stop`).
"""

from __future__ import annotations

import signal
import time
from typing import ClassVar, Literal

from harness.faults import FAULTS, Injection, Scene
from harness.faults.asking import info
from harness.faults.at_once import at
from harness.faults.process import SERVERS_TAKE, OneProcess, classes_of
from harness.faults.targets import AGENT_TIMEOUT_S, GROUPS, ONE_ROLES, hearing, is_agent
from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeState
from harness.scenario import FaultSpec

#: A server waits for its replicas for 10 s (shutdown-timeout), a worker for any socket time-out of its client.
STOP_TIMEOUT_S = 15.0
START_TIMEOUT_S = 30.0


class RestartSpec(FaultSpec):
    """SIGTERM to a server or consumer (SIGINT to PostgreSQL: its fast shutdown), and a new start once it has ended."""

    kind: Literal["restart"]
    targets: ClassVar = (*ONE_ROLES, *GROUPS)
    ends: ClassVar = True
    color: ClassVar = "#ca6f1e"
    takes_time: ClassVar = (
        f"{SERVERS_TAKE} A primary that is told to stop waits until its replicas say that they have everything, which "
        "they do once a second; behind Sentinel another one takes over meanwhile."
    )


class RestartInjection(OneProcess):
    """One such restart."""

    def __init__(self, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, *classes_of(scene, node, "worker-stop", "node-restart"))

    def inject(self) -> str:
        """Stop it, start it, see another process answer."""
        self.must_be_up()
        # PostgreSQL would wait for all its clients to leave after a SIGTERM (its docs: Shutting Down the Server).
        told = signal.SIGINT if self.scene.topology.kind == "postgres" and not self._is_agent else signal.SIGTERM
        began_s = time.monotonic()
        self._wait_stoppable()
        self.node.signal(told)
        status = self.node.wait(STOP_TIMEOUT_S)
        if status < 0:
            raise HarnessError(f"{self.name} was ended by signal {-status}, and did not stop on its own account")
        starts = 0 if not self._is_agent else self.scene.agents.starts(self.name)
        self.node.start()
        wait_up(self.scene, self.node, starts)
        took_s = time.monotonic() - began_s
        return f"{self.name}: ended after a {told.name}, exit status {status}; up again after {took_s:.2f} s"

    def _wait_stoppable(self) -> None:
        """Until a server has written its first append-only file: after a full synchronisation it is a new one. Who is
        told to stop meanwhile refuses, and does not come back to it (server.c, "Writing initial AOF, can't exit")."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while not self._is_agent and _rewrites(self.scene, self.node):
            if time.monotonic() > deadline:
                raise DeadlineExceeded(
                    f"waited {STOP_TIMEOUT_S:g} s for {self.name} to write its append-only file anew"
                )
            time.sleep(0.005)

    @property
    def _is_agent(self) -> bool:
        return is_agent(self.name, self.scene)


def _rewrites(scene: Scene, node: Node) -> bool:
    """Whether a server says that it writes its append-only file anew. Who is not Redis, or says nothing, does not."""
    if scene.topology.kind == "postgres":
        return False
    try:
        return info(scene.topology, node, "persistence").get("aof_rewrite_in_progress") == "1"
    except HarnessError:
        return False  # busy with what another fault did to it


def wait_up(scene: Scene, node: Node, starts: int) -> None:
    """Until a server answers, or an agent, started so often before, has begun to write.

    Raises HarnessError when it ended at its start, DeadlineExceeded.
    """
    name = node.spec.name
    agent = is_agent(name, scene)
    timeout_s = AGENT_TIMEOUT_S if agent else START_TIMEOUT_S
    deadline = time.monotonic() + timeout_s
    while not (scene.agents.starts(name) > starts if agent else scene.topology.ping(node)):
        if node.state() is NodeState.EXITED:
            raise HarnessError(f"{name} ended at its start, exit status {node.exit_status()}")
        if time.monotonic() > deadline:
            raise DeadlineExceeded(f"waited {timeout_s:g} s for {name} to be up again after its start")
        time.sleep(0.005)


class Restart:
    """Registered as `restart`."""

    spec = RestartSpec

    def aim(self, spec: RestartSpec, scene: Scene, draw: int) -> Injection:
        """At the role's node, or at all of the group."""
        return at(spec.target, scene, draw, lambda node: RestartInjection(scene, hearing(scene, node)))


FAULTS.register("restart")(Restart())
