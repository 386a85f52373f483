"""Which faults are tried, on whom and where: all that is measured for the docs, and what the suite tries of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.faults import FAULTS
from harness.faults.targets import AGENT_ROLES, CHILD_ROLES, PRODUCER, SERVER_GROUPS, SERVER_ROLES
from harness.scenario import FaultSpec

#: Where a fault is tried: the first of these where it means anything, and has its target.
TOPOLOGIES = ("cluster", "sentinel", "standalone", "postgres", "folder")
#: What Huey classes stand for a topology, to faults that ask.
HUEYS = {
    "postgres": ("huey.contrib.sql_huey:PostgresHuey",),
    "folder": ("huey:SqliteHuey", "huey:FileHuey"),
}
#: One after the other, each until all agree again: 10 s, and 12 s in containers. All at once: 2 s, and 3 s.
TOO_LONG = frozenset({"rolling-restart-nodes", "rolling-upgrade-nodes", "starve-nodes"})


@dataclass(frozen=True)
class Case:
    """A fault with these fields, and the topology on which it is tried."""

    kind: str
    topology: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For a person to choose it by."""
        where = (self.topology,) if self.topology != _first(self.kind, self.fields) else ()
        return "-".join((self.kind, *self.fields.values(), *where))

    @property
    def server(self) -> str:
        """Which server it is tried on: what is to be upgraded is an older one."""
        return "redis-7.0" if self.kind == "rolling-upgrade" else "valkey-9"

    @property
    def poisons(self) -> bool:
        """Whether it takes links that pass through a proxy."""
        return "proxies" in FAULTS.get(self.kind).spec.needs


def every_case() -> tuple[Case, ...]:
    """Each fault on each of its targets; each choice that one has besides; other topologies where they matter to it."""
    return tuple({case.name: case for case in (*_by_target(), *_by_choice(), *_elsewhere())}.values())


def suite_cases() -> tuple[Case, ...]:
    """What takes no longer than a suite may: each fault on one target of each sort, with each choice, and behind
    Sentinel. All of them on all targets are measured for the docs."""
    found: dict[tuple[str, ...], Case] = {}
    for case in (*_by_target(), *_by_choice()):
        if case.name in TOO_LONG:
            continue
        target, *chosen = case.fields.values()
        found.setdefault((case.kind, _sort(target), *chosen), case)
    for case in (_case("kill", target="sentinel"), *_elsewhere()):
        if case.name in ("kill-sentinel", "hold-lock-storage-folder"):
            found[case.kind, case.topology] = case
    return tuple(found.values())


def _sort(target: str) -> str:
    for sort in (SERVER_ROLES, (*AGENT_ROLES, PRODUCER), CHILD_ROLES):
        if target in sort:
            return str(sort)
    return "several"


def _by_target() -> Iterator[Case]:
    for kind, fault in FAULTS.items():
        for target in fault.spec.targets:
            yield _case(kind, target=target)


def _by_choice() -> Iterator[Case]:
    for kind in ("latency", "timeout"):
        yield _case(kind, target="primaries", **{"from": "replicas"})
    yield _case("latency", target="any-primary", **{"from": "consumer"})
    for name in ("INT", "HUP"):
        yield _case("terminate", target="consumer", signal=name)
    for name in ("allkeys-random", "volatile-lru"):
        yield _case("out-of-memory", target="primary-of-queue", policy=name)
    yield _case("kill-backend", target="primary-of-queue", which="one")
    yield _case("client-pause", target="primary-of-queue", mode="all", **{"for": "200ms"})
    for name in ("force", "takeover"):
        yield _case("failover", target="primary-of-queue", how=name)


def _elsewhere() -> Iterator[Case]:
    """What a fault does otherwise there: nobody or another one takes over, or the storage is of another kind."""
    for topology in ("sentinel", "standalone", "postgres"):
        for kind in ("kill", "pause", "restart"):
            yield Case(kind, topology, {"target": "primary-of-queue"})
    for kind in ("failover", "flush", "lost-tail", "restart-empty", "torn-aof"):
        yield Case(kind, "sentinel", {"target": "primary-of-queue"})
    for topology in ("sentinel", "standalone"):
        yield Case("rolling-upgrade", topology, {"target": "nodes"})
    yield Case("reset", "postgres", {"target": "primary-of-queue"})
    yield Case("hold-lock", "folder", {"target": "storage"})


def _case(kind: str, **fields: str) -> Case:
    return Case(kind, _first(kind, fields), fields)


def _first(kind: str, fields: dict[str, str]) -> str:
    spec: FaultSpec = FAULTS.get(kind).spec.model_validate({"kind": kind, "at": {"elapsed": "0s"}, **fields})
    for topology in TOPOLOGIES:
        has_target = topology in {**SERVER_ROLES, **SERVER_GROUPS}.get(spec.target, TOPOLOGIES)
        hueys = HUEYS.get(topology, ("huey:RedisHuey",))
        if has_target and any(spec.why_not(topology, huey) is None for huey in hueys):
            return topology
    raise AssertionError(f"{kind} {fields} means nothing anywhere")
