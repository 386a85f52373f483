"""What a topology consists of, as plain data: the same for runtimes and for compose files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.scenario import TopologySpec

PORT = 6379
SENTINEL_PORT = 26379
#: The name under which sentinels know what they watch.
SERVICE = "primary"

Settings = Mapping[str, str | int]

#: What every data server gets unless a scenario says otherwise.
DATA: Settings = {
    # Without persistence a server that is restarted before anyone fails over erases everything.
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": '""',
    # 5 s by default: what a replica would wait for others to join it.
    "repl-diskless-sync-delay": 0,
    "protected-mode": "no",
    "daemonize": "no",
    "loglevel": "notice",
}


@dataclass(frozen=True)
class ServerDescription:
    """One server. In `lines`, `{name}` stands for the address of the server of that name, `{self}` for its own.

    `index` makes its address; `args` come after the configuration file on its command line.
    """

    name: str
    index: int
    port: int
    lines: tuple[str, ...]
    args: tuple[str, ...] = ()

    def configuration(self, addresses: Mapping[str, str]) -> list[str]:
        """Its lines with addresses put in."""
        known = {**addresses, "self": addresses[self.name]}
        lines = []
        for line in self.lines:
            for name, address in known.items():
                line = line.replace("{" + name + "}", address)
            lines.append(line)
        return lines


def standalone(spec: TopologySpec) -> tuple[ServerDescription, ...]:
    """`node-1`."""
    return (ServerDescription("node-1", 1, PORT, _lines(DATA, spec.settings)),)


def cluster(spec: TopologySpec) -> tuple[ServerDescription, ...]:
    """`node-1` … the first primaries, then their replicas."""
    lines = _lines(
        DATA,
        {
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": round(spec.node_timeout * 1000),
            "cluster-announce-ip": "{self}",
            # A replica that moves to another shard leaves its own without one.
            "cluster-allow-replica-migration": "no",
        },
        spec.settings,
    )
    count = spec.primaries * (1 + replicas_of_each(spec))
    return tuple(ServerDescription(f"node-{i}", i, PORT, lines) for i in range(1, count + 1))


def replicas_of_each(spec: TopologySpec) -> int:
    """Replicas of each primary of a cluster."""
    return 1 if spec.replicas is None else spec.replicas


def sentinel(spec: TopologySpec) -> tuple[ServerDescription, ...]:
    """`node-1` the first primary, the other nodes its replicas; `sentinel-1` … watch them."""
    replicas = 2 if spec.replicas is None else spec.replicas
    data = _lines(DATA, spec.settings)
    watch = (
        f"sentinel monitor {SERVICE} {{node-1}} {PORT} {spec.sentinels // 2 + 1}",
        f"sentinel down-after-milliseconds {SERVICE} {round(spec.node_timeout * 1000)}",
        # Twice this is how long they wait before they try a failover again.
        f"sentinel failover-timeout {SERVICE} {round(spec.node_timeout * 5000)}",
        f"sentinel parallel-syncs {SERVICE} {max(1, replicas)}",
        "sentinel announce-ip {self}",
        "protected-mode no",
        "daemonize no",
    )
    return (
        ServerDescription("node-1", 1, PORT, data),
        *(
            ServerDescription(f"node-{i}", i, PORT, (*data, f"replicaof {{node-1}} {PORT}"))
            for i in range(2, replicas + 2)
        ),
        *(
            ServerDescription(f"sentinel-{i}", 20 + i, SENTINEL_PORT, watch, ("--sentinel",))
            for i in range(1, spec.sentinels + 1)
        ),
    )


def _lines(*settings: Settings) -> tuple[str, ...]:
    """Lines of a configuration; of two settings of one name, the later one."""
    merged: dict[str, str | int] = {}
    for one in settings:
        merged.update(one)
    return tuple(f"{key} {value}" for key, value in merged.items())
