"""What a topology consists of, as plain data: the same for runtimes and for compose files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.scenario import TopologySpec
from harness.topologies.certificates import CA_FILE, SERVER_FILE
from harness.topologies.security import Login, Logins

PORT = 6379
SENTINEL_PORT = 26379
POSTGRES_PORT = 5432
#: Where sentinels talk among themselves, if not as their clients do.
SENTINEL_PEER_PORT = 26380
#: The name under which sentinels know what they watch.
SERVICE = "primary"

#: Of each primary, where nobody says how many.
REPLICAS: Mapping[str, int] = {"cluster": 1, "sentinel": 2}

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

#: The same of PostgreSQL, which by default syncs each commit.
POSTGRES: Settings = {
    # Shared memory that is a file in the data folder: what a SIGKILL leaves behind is swept with it.
    "dynamic_shared_memory_type": "mmap",
    # As many as a scenario may have workers, twice over: each waits for work on a connection of its own.
    "max_connections": 400,
}

#: Clients show no certificate; servers show theirs to each other.
_CERTIFICATE = (
    f"tls-cert-file {SERVER_FILE}",
    f"tls-key-file {SERVER_FILE}",
    f"tls-ca-cert-file {CA_FILE}",
    "tls-auth-clients no",
)
#: Names of files are taken from the data folder, which lies in the server's own.
_POSTGRES_CERTIFICATE: Settings = {
    "ssl": "on",
    "ssl_cert_file": f"../{SERVER_FILE}",
    "ssl_key_file": f"../{SERVER_FILE}",
}
NOBODY = Logins()


@dataclass(frozen=True)
class ServerDescription:
    """One server. In `lines`, `{name}` stands for the address of the server of that name, `{self}` for its own.

    `index` makes its address; `args` come after the configuration file on its command line. `login` is what it asks
    of its clients; `tls` says that it needs a certificate (certificates.py).
    """

    name: str
    index: int
    port: int
    lines: tuple[str, ...]
    args: tuple[str, ...] = ()
    login: Login | None = None
    tls: bool = False
    #: How much its folder holds; None = as much as this machine's disk.
    disk_mb: int | None = None
    #: Whether that is a block disk.
    disk_fails: bool = False

    def configuration(self, addresses: Mapping[str, str]) -> list[str]:
        """Its lines with addresses put in."""
        known = {**addresses, "self": addresses[self.name]}
        lines = []
        for line in self.lines:
            for name, address in known.items():
                line = line.replace("{" + name + "}", address)
            lines.append(line)
        return lines


def standalone(spec: TopologySpec, logins: Logins = NOBODY) -> tuple[ServerDescription, ...]:
    """`node-1`."""
    return (_data_server(1, spec, logins, DATA),)


def postgres(spec: TopologySpec, logins: Logins = NOBODY) -> tuple[ServerDescription, ...]:
    """`node-1`. Who gets in, and by what, is in a file of its own: `postgres_access`."""
    settings: Settings = {"listen_addresses": "{self}", "port": POSTGRES_PORT, **POSTGRES, **spec.settings}
    if spec.tls:
        settings = {**settings, **_POSTGRES_CERTIFICATE}
    lines = tuple(f"{name} = '{value}'" for name, value in settings.items())
    return (
        ServerDescription(name="node-1", index=1, port=POSTGRES_PORT, lines=lines, login=logins.servers, tls=spec.tls),
    )


def postgres_access(server: ServerDescription) -> list[str]:
    """The lines of its pg_hba.conf: everybody on its socket, which is ours, and on the network who is to get in.

    https://www.postgresql.org/docs/current/auth-pg-hba-conf.html
    """
    by = "trust" if server.login is None else "scram-sha-256"
    return ["local all all trust", f"{'hostssl' if server.tls else 'host'} all all all {by}"]


def cluster(spec: TopologySpec, logins: Logins = NOBODY) -> tuple[ServerDescription, ...]:
    """`node-1` … the first primaries, then their replicas."""
    settings: Settings = {
        **DATA,
        "cluster-enabled": "yes",
        "cluster-config-file": "nodes.conf",
        "cluster-node-timeout": round(spec.node_timeout * 1000),
        "cluster-announce-ip": "{self}",
        # A replica that moves to another shard leaves its own without one.
        "cluster-allow-replica-migration": "no",
    }
    if spec.tls:
        settings = {**settings, "tls-cluster": "yes"}
    count = spec.primaries * (1 + replicas_of_each(spec))
    return tuple(_data_server(i, spec, logins, settings) for i in range(1, count + 1))


def replicas_of_each(spec: TopologySpec) -> int:
    """Replicas of each primary of a cluster."""
    return REPLICAS["cluster"] if spec.replicas is None else spec.replicas


def sentinel(spec: TopologySpec, logins: Logins = NOBODY) -> tuple[ServerDescription, ...]:
    """`node-1` the first primary, the other nodes its replicas; `sentinel-1` … watch them."""
    replicas = REPLICAS["sentinel"] if spec.replicas is None else spec.replicas
    # Else the primary tells sentinels where a replica's connection comes from: on plain loopback, 127.0.0.1 for all.
    settings: Settings = {**DATA, "replica-announce-ip": "{self}"}
    watch = (
        *_sentinel_ports(spec),
        *(logins.sentinels.lines() if logins.sentinels is not None else ()),
        *_sentinel_logins(logins),
        f"sentinel monitor {SERVICE} {{node-1}} {PORT} {spec.sentinels // 2 + 1}",
        *_primary_login(logins.servers),
        f"sentinel down-after-milliseconds {SERVICE} {round(spec.node_timeout * 1000)}",
        # Twice this is how long they wait before they try a failover again.
        f"sentinel failover-timeout {SERVICE} {round(spec.node_timeout * 5000)}",
        f"sentinel parallel-syncs {SERVICE} {max(1, replicas)}",
        "sentinel announce-ip {self}",
        "protected-mode no",
        "daemonize no",
    )
    return (
        _data_server(1, spec, logins, settings),
        *(_data_server(i, spec, logins, settings, f"replicaof {{node-1}} {PORT}") for i in range(2, replicas + 2)),
        *(
            ServerDescription(
                name=f"sentinel-{i}",
                index=20 + i,
                port=SENTINEL_PORT,
                lines=watch,
                args=("--sentinel",),
                login=logins.sentinels,
                tls=spec.tls or spec.sentinel_tls,
            )
            for i in range(1, spec.sentinels + 1)
        ),
    )


def needs_tls(kind: str, spec: TopologySpec) -> bool:
    """Whether a topology of that kind takes servers that were built with TLS."""
    return spec.tls or (kind == "sentinel" and spec.sentinel_tls)


def _data_server(
    index: int, spec: TopologySpec, logins: Logins, settings: Settings, *further: str
) -> ServerDescription:
    """`node-<index>`; of two settings of one name, the scenario's own counts."""
    lines = [*_ports(PORT, spec.tls), *(f"{key} {value}" for key, value in {**settings, **spec.settings}.items())]
    if logins.servers is not None:
        # Any of them may become a replica, and then logs in as clients do.
        lines += [*logins.servers.lines(), f"masterauth {logins.servers.password}"]
        if logins.servers.user is not None:
            lines.append(f"masteruser {logins.servers.user}")
    if spec.tls:
        lines.append("tls-replication yes")
    return ServerDescription(
        name=f"node-{index}",
        index=index,
        port=PORT,
        lines=(*lines, *further),
        login=logins.servers,
        tls=spec.tls,
        disk_mb=spec.disk_mb,
        disk_fails=spec.disk == "block",
    )


def _ports(port: int, tls: bool) -> tuple[str, ...]:
    return ("port 0", f"tls-port {port}", *_CERTIFICATE) if tls else (f"port {port}",)


def _sentinel_ports(spec: TopologySpec) -> tuple[str, ...]:
    """A sentinel talks to other sentinels as to the servers, by TLS or in the clear (tls-replication), and tells them
    its port of that kind (sentinel.c, instanceLinkNegotiateTLS and sentinelSendHello). It needs a second
    one where its clients talk to it in the other way.
    """
    if spec.tls and spec.sentinel_tls:
        return (*_ports(SENTINEL_PORT, tls=True), "tls-replication yes")
    if spec.tls:
        return (f"port {SENTINEL_PORT}", f"tls-port {SENTINEL_PEER_PORT}", *_CERTIFICATE, "tls-replication yes")
    if spec.sentinel_tls:
        return (f"port {SENTINEL_PEER_PORT}", f"tls-port {SENTINEL_PORT}", *_CERTIFICATE)
    return _ports(SENTINEL_PORT, tls=False)


def _sentinel_logins(logins: Logins) -> tuple[str, ...]:
    """How sentinels log in to each other."""
    if logins.sentinels is None:
        return ()
    password = f"sentinel sentinel-pass {logins.sentinels.password}"
    if logins.sentinels.user is None:
        return (password,)
    return (f"sentinel sentinel-user {logins.sentinels.user}", password)


def _primary_login(login: Login | None) -> tuple[str, ...]:
    """How sentinels log in to what they watch; after the line that names it."""
    if login is None:
        return ()
    password = f"sentinel auth-pass {SERVICE} {login.password}"
    if login.user is None:
        return (password,)
    return (f"sentinel auth-user {SERVICE} {login.user}", password)
