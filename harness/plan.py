"""A plan holds every choice that a run will make: scenario + backend + seed, nothing drawn later.

The same three give the same plan, byte for byte. It is stored beside the history together with the promises, limits and
colours in force, so that a stored run can be judged and drawn with nothing but its folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.backends import Backend, Halt
from harness.composition import compose
from harness.faults import FAULTS
from harness.protocols import KnownLimit, Promise
from harness.scenario import FaultSpec, Scenario, TopologySpec, WorkloadSpec, scenario_model
from harness.topologies.description import REPLICAS

SCHEMA = "huey-harness/plan/1"
#: A disk that a fault is to fill: a run's data are less than that by far.
DISK_MB = 32


@dataclass(frozen=True)
class ProducerPlan:
    """One producer: tasks `first` to `first + count - 1`, `rate` of them a second (None = no pacing), of the scenario's
    workload of that number, in items of `numbers` tasks each."""

    name: str
    first: int
    count: int
    rate: float | None
    seed: int
    workload: int = 0
    numbers: int = 1


@dataclass(frozen=True)
class FaultPlan:
    """One fault: what the scenario says of it, and the number that decides whom of several it strikes."""

    index: int
    draw: int


@dataclass(frozen=True)
class Plan:
    """Everything that a run carries out."""

    scenario: Scenario
    backend: Backend
    seed: int
    runtime: str
    server: str
    scale: float
    producers: tuple[ProducerPlan, ...]
    consumers: tuple[str, ...]
    faults: tuple[FaultPlan, ...]
    #: The Huey that was asked for by its version, and all that the agents' interpreter is to hold; without any, it is
    #: the harness' own.
    version: str | None = None
    requires: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The backend's, and the version that was asked for: what results of one scenario are told apart by."""
        return named(self.backend, self.version)

    @property
    def paced_s(self) -> float | None:
        """How long the slowest producer takes by its own pace; None where one has none."""
        paces = [one.count / one.rate if one.rate else None for one in self.producers]
        return max((one for one in paces if one is not None), default=0.0) if all(paces) else None

    @property
    def tasks(self) -> int:
        """How many tasks will be submitted."""
        return sum(producer.count for producer in self.producers)

    def to_json(self) -> dict[str, Any]:
        """`plan.json`."""
        backend = dataclasses.asdict(dataclasses.replace(self.backend, kwargs=dict(self.backend.kwargs)))
        backend["capabilities"] = sorted(self.backend.capabilities)
        return {
            "schema": SCHEMA,
            "scenario": self.scenario.model_dump(mode="json", by_alias=True),
            "backend": backend,
            "seed": self.seed,
            "runtime": self.runtime,
            "server": self.server,
            "scale": self.scale,
            "producers": [dataclasses.asdict(one) for one in self.producers],
            "consumers": list(self.consumers),
            "faults": [dataclasses.asdict(one) for one in self.faults],
            "version": self.version,
            "requires": list(self.requires),
            "colors": {kind: fault.spec.color for kind, fault in FAULTS.items()},
        }

    def dumps(self) -> str:
        """plan.json's text, always the same for the same plan."""
        return json.dumps(self.to_json(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def named(backend: Backend, version: str | None) -> str:
    """The backend's name, and behind it the version of Huey that was asked for, if one was."""
    return backend.name if version is None else f"{backend.name}-{version}"


def draw_plan(
    scenario: Scenario,
    backend: Backend,
    seed: int,
    *,
    runtime: str,
    server: str,
    scale: float = 1.0,
    version: str | None = None,
    requires: tuple[str, ...] = (),
) -> Plan:
    """Draw all that is left open, from the seed alone."""
    # One stream for each scenario and backend: leaving one out does not change the others.
    digest = hashlib.blake2b(f"{seed}/{scenario.name}/{backend.name}".encode(), digest_size=8).digest()
    draw = random.Random(int.from_bytes(digest, "big"))
    producers: list[ProducerPlan] = []
    for at, workload in enumerate(scenario.workloads):
        producers = [*producers, *_producers_of(workload, at, producers, scale, draw)]
    faults = compose(scenario, draw, scale)
    topology = _with_disk(_sized(scenario.topology, backend), faults)
    return Plan(
        # All faults one by one: who runs, replays or reports a plan need not know how they came about.
        scenario=scenario.model_copy(update={"topology": topology, "faults": faults, "nemesis": None}),
        backend=_with_replicas(backend, topology.replicas),
        seed=seed,
        runtime=runtime,
        server=server,
        scale=scale,
        producers=tuple(producers),
        consumers=tuple(f"consumer-{i}" for i in range(1 if backend.in_one_process else scenario.consumers.count)),
        faults=tuple(FaultPlan(i, draw.getrandbits(16)) for i in range(len(faults))),
        version=version,
        requires=requires,
    )


def _producers_of(
    workload: WorkloadSpec, at: int, before: Sequence[ProducerPlan], scale: float, draw: random.Random
) -> Iterator[ProducerPlan]:
    """The producers of the scenario's workload number `at`, which come after those."""
    first = before[-1].first + before[-1].count if before else 0
    items = max(1, round(workload.tasks * scale / workload.numbers))
    for i in range(workload.producers):
        count = (items // workload.producers + (i < items % workload.producers)) * workload.numbers
        rate = workload.rate / workload.producers if workload.rate else None
        name = f"producer-{len(before) + i}"
        yield ProducerPlan(name, first, count, rate, draw.getrandbits(32), at, workload.numbers)
        first += count


def _sized(spec: TopologySpec, backend: Backend) -> TopologySpec:
    """With as many replicas as the scenario asks for, else the backend, else as its topology has by default.

    Written down, so that what runs on the same servers is seen to.
    """
    for replicas in (spec.replicas, backend.replicas, REPLICAS.get(backend.topology)):
        if replicas is not None:
            return spec.model_copy(update={"replicas": replicas})
    return spec


def _with_disk(spec: TopologySpec, faults: Sequence[FaultSpec]) -> TopologySpec:
    """With a disk that can be filled, or can fail, where a fault is to do so."""
    needs = frozenset[str]().union(*(type(fault).needs for fault in faults))
    if "block-disks" in needs:
        spec = spec.model_copy(update={"disk": "block"})
    if spec.disk_mb is not None or not needs & {"small-disks", "block-disks"}:
        return spec
    return spec.model_copy(update={"disk_mb": DISK_MB})


def _with_replicas(backend: Backend, replicas: int | None) -> Backend:
    """With the number that it means by all replicas."""
    if backend.kwargs.get("replicas") != "all":
        return backend
    return dataclasses.replace(backend, kwargs={**backend.kwargs, "replicas": replicas or 0})


def load_plan(stored: dict[str, Any]) -> Plan:
    """The plan of a stored `plan.json`. Raises ValueError (pydantic's included) when it is none."""
    if stored.get("schema") != SCHEMA:
        raise ValueError(f"not a plan of this version: schema is {stored.get('schema')!r}, expected {SCHEMA!r}")
    backend = dict(stored["backend"])
    backend["capabilities"] = frozenset(backend["capabilities"])
    backend["promises"] = tuple(Promise(one["name"], tuple(one["under"])) for one in backend["promises"])
    backend["limits"] = tuple(KnownLimit(**one) for one in backend["limits"])
    backend["halts"] = tuple(Halt(**one) for one in backend.get("halts", ()))
    backend["also"] = tuple(backend.get("also", ()))
    backend["requires"] = tuple(backend.get("requires", ()))
    return Plan(
        scenario=scenario_model().model_validate(stored["scenario"]),
        backend=Backend(**backend),
        seed=stored["seed"],
        runtime=stored["runtime"],
        server=stored["server"],
        scale=stored["scale"],
        producers=tuple(ProducerPlan(**one) for one in stored["producers"]),
        consumers=tuple(stored["consumers"]),
        faults=tuple(FaultPlan(**one) for one in stored["faults"]),
        version=stored.get("version"),
        requires=tuple(stored.get("requires", ())),
    )
