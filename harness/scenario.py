"""What a scenario file says: the types, their defaults and limits. Reading files is `scenario_file`'s matter.

Faults and workloads bring their own fields: each registers a model derived from `FaultSpec` or
`WorkloadSpec`, and `scenario_model()` joins them into the model that files are held against (and the JSON
Schema is made from).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    create_model,
    field_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

API_VERSION = "huey-harness/v1"

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
#: How durations, shares and names are written; the JSON Schema carries the same patterns.
DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)?\s*(ms|s|min|m|h)$"
SHARE_PATTERN = r"^[0-9]+(\.[0-9]+)?\s*%$"
NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,63}$"
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|m|h)")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
DURATION_MAX_S = 3600.0
#: Faults of one run, repeated and drawn ones included.
FAULTS_MAX = 100

#: The patterns in words, to be read after `must be`. A validator's message that begins with `must` is shown
#: with the field before and the value behind it.
FORMS = {
    DURATION_PATTERN: "a duration of at most 1h, as a number and a unit such as 500ms, 3s, 2min",
    SHARE_PATTERN: "a share from 0% to 100%, such as 40%",
    NAME_PATTERN: "a name of lower-case letters, digits and hyphens, 64 characters at most",
}


def _duration(value: object) -> object:
    no_duration = f"must be {FORMS[DURATION_PATTERN]}"
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError(no_duration)
        seconds = float(match[1]) * _UNITS[match[2]]
    elif value == 0 and isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = 0.0
    else:
        raise ValueError(no_duration)
    if seconds > DURATION_MAX_S:
        raise ValueError(no_duration)
    return seconds


def _share(value: object) -> object:
    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) > 100:
        raise ValueError(f"must be {FORMS[SHARE_PATTERN]}")
    return float(match[1]) / 100


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError(f"must be {FORMS[NAME_PATTERN]}")
    return value


def _written(value: float, per_unit: int, unit: str) -> str:
    """As a file would say it, without rounding, so that a stored plan reads back as it was."""
    digits = format(Decimal(repr(value)) * per_unit, "f")
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits) + unit


#: Seconds, written `500ms`, `3s`, `2min`; a bare 0 needs no unit. As JSON it is written again, as `0.5s`.
Duration = Annotated[
    float,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(pattern=DURATION_PATTERN)] | Literal[0]),
    PlainSerializer(lambda value: _written(value, 1, "s"), return_type=str, when_used="json"),
]
#: 0 to 1, written `40%`, as JSON too.
Share = Annotated[
    float,
    BeforeValidator(_share, json_schema_input_type=Annotated[str, Field(pattern=SHARE_PATTERN)]),
    PlainSerializer(lambda value: _written(value, 100, "%"), return_type=str, when_used="json"),
]
Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})]

#: `password`: the default user has one; `acl`: a user of the name `chaos`, and no default user.
Auth = Literal["none", "password", "acl"]
Topo = Literal["standalone", "sentinel", "cluster", "postgres", "folder", "none"]


class Model(BaseModel):
    """Frozen, and strict about names: an unknown field is an error, not a silent nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Trigger(Model):
    """When a fault strikes: as soon as this holds. Exactly one is given, and `later` where it is to be put off."""

    acknowledged: Share | None = Field(
        default=None, description="share of the workload's tasks whose enqueue has returned"
    )
    completed: Share | None = Field(default=None, description="share of the workload's tasks that have been completed")
    popped: Share | None = Field(
        default=None,
        description="share of the workload's tasks that schedulers have taken from the schedule; it strikes while the "
        "last of them are in a scheduler's hands",
    )
    elapsed: Duration | None = Field(default=None, description="time since the workload began")
    held: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="while so many workers of one consumer have a task in hand; that consumer is meant"
    )
    batch: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="while a scheduler has in hand so many tasks that it took from the schedule; its consumer is meant",
    )
    queued: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="while so many tasks are in the queue: acknowledged, due, and in nobody's hands"
    )
    lease_expired: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="right after so many leases have run out; only storages that acknowledge have leases"
    )
    later: Duration = Field(
        default=0.0, description="how long after that; what holds for a while only must then hold again"
    )

    def model_post_init(self, context: Any, /) -> None:
        ways = [name for name in type(self).model_fields if name != "later"]
        if sum(getattr(self, name) is not None for name in ways) != 1:
            raise ValueError(f"give exactly one of {', '.join(ways)}")


class Repeat(Model):
    """The same fault again and again."""

    times: Annotated[int, Field(ge=2, le=FAULTS_MAX)] = Field(description="how often in all")
    every: Duration = Field(description="how long from one strike to the next")


class FaultSpec(Model):
    """What every fault has. A fault's own file derives its model from this one and registers it."""

    kind: str = Field(description="which fault")
    target: str = Field(description="whom it strikes, by role")
    at: Trigger = Field(description="when it strikes")
    for_: Duration = Field(default=3.0, alias="for", description="how long it lasts before it is healed")
    in_flight: Annotated[int, Field(ge=0)] = Field(
        default=1,
        description="how much must have been in flight when it struck, for the run to prove anything",
    )
    repeat: Repeat | None = Field(default=None, description="strike several times")

    #: Roles it can strike.
    targets: ClassVar[tuple[str, ...]] = ()
    #: Topologies in which it means anything; None = all that have such a target.
    topologies: ClassVar[frozenset[str] | None] = None
    #: What it needs of the runtime: a subset of `Runtime.capabilities`.
    needs: ClassVar[frozenset[str]] = frozenset()
    #: Whether a process that it strikes ends.
    ends: ClassVar[bool] = False
    #: Whether it sets agents' wall clocks, which must then be such as can be set from their start.
    sets_clocks: ClassVar[bool] = False
    #: Why it may take longer than a moment to be seen landed, or healed: whole sentences, for the docs.
    takes_time: ClassVar[str] = ""
    #: Its colour in the report.
    color: ClassVar[str] = "#888888"

    @field_validator("target")
    @classmethod
    def _strikes(cls, target: str) -> str:
        if cls.targets and target not in cls.targets:
            raise ValueError(f"must be one of {', '.join(cls.targets)}")
        return target

    def why_not(self, topology: str, huey: str) -> str | None:
        """Why it means nothing to a backend on that topology with that Huey class (`module:Class`), for a person to
        read; None where it means something."""
        where = type(self).topologies
        if where is None or topology in where:
            return None
        return f"{self.kind} is for {', '.join(sorted(where))}, and this is {topology}"

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        schema = handler(core)
        properties = handler.resolve_ref_schema(schema)["properties"]
        if cls.targets:
            properties["target"]["enum"] = list(cls.targets)
        return schema


class WorkloadSpec(Model):
    """What every workload has. A workload's own file derives its model from this one and registers it."""

    kind: str = Field(description="which workload")
    tasks: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        default=2000, description="tasks in all, over all producers"
    )
    producers: Annotated[int, Field(ge=1, le=16)] = Field(default=2, description="producer processes")
    rate: Annotated[float, Field(gt=0, le=100_000)] | None = Field(
        default=600, description="tasks a second, over all producers; null = as fast as they can"
    )

    #: Capabilities that the backend must have, e.g. `priority`.
    requires: ClassVar[frozenset[str]] = frozenset()
    #: The first Huey that has what it asks of tasks, and what that is; None = all that the harness runs have it.
    since: ClassVar[tuple[str, str] | None] = None

    @property
    def numbers(self) -> int:
        """Tasks of one item that is submitted: 1, or as many as a chord has, say. Those of an item are never parted."""
        return 1

    @property
    def period_s(self) -> float | None:
        """How often consumers' schedulers enqueue what is periodic; None where nothing is."""
        return None

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules of somebody's application that agents import, producers and consumers alike."""
        return ()


class Consumers(Model):
    """The consumers of a run: how many processes, with how many workers each, of which kind."""

    count: Annotated[int, Field(ge=1, le=16)] = Field(default=2, description="consumer processes")
    workers: Annotated[int, Field(ge=1, le=64)] = Field(default=4, description="workers of each consumer")
    worker_type: Literal["thread", "process", "greenlet"] = Field(default="thread", description="what a worker is")
    start: Literal["with-producers", "after-producers"] = Field(
        default="with-producers", description="after-producers builds a backlog first"
    )
    health_check: Duration | None = Field(
        default=None, description="how often a consumer replaces workers that died; default Huey's own, 10s"
    )
    shutdown_timeout: Duration | None = Field(
        default=None, description="how long a graceful stop waits for running tasks; default for ever"
    )


#: Servers as `--huey-server` names them.
ServerName = Literal["valkey-9", "valkey-8", "redis-8", "redis-7.4", "redis-7.0", "redis-6.2"]


class TopologySpec(Model):
    """Sizes and settings of the servers; what a topology does not have, it ignores."""

    primaries: Annotated[int, Field(ge=3, le=9)] = Field(default=3, description="cluster: primaries")
    replicas: Annotated[int, Field(ge=0, le=4)] | None = Field(
        default=None, description="replicas of each primary; default 1 in a cluster, 2 behind Sentinel"
    )
    sentinels: Annotated[int, Field(ge=1, le=7)] = Field(default=3, description="Sentinel: sentinels")
    node_timeout: Duration = Field(
        default=1.0, description="cluster-node-timeout; behind Sentinel, down-after-milliseconds"
    )
    auth: Auth = Field(default="none", description="how clients and replicas log in to the servers")
    tls: bool = Field(default=False, description="the servers speak TLS, and nothing else")
    sentinel_auth: Auth = Field(
        default="none",
        description="Sentinel: how clients log in to the sentinels, with other words than to the servers",
    )
    sentinel_tls: bool = Field(default=False, description="Sentinel: clients reach the sentinels by TLS alone")
    disk_mb: Annotated[int, Field(ge=8, le=1000)] | None = Field(
        default=None,
        description="how much a server's folder holds, or the folder that agents share; default as much as this "
        "machine's disk, or 32 where a fault is to fill it",
    )
    disk: Literal["memory", "block"] = Field(
        default="memory", description="what that is: a file system in memory, or one on a disk, which a fault can fail"
    )
    server: ServerName | None = Field(
        default=None, description="what the servers are, whatever --huey-server says: where the scenario is about that"
    )
    settings: dict[str, str | int] = Field(default_factory=dict, description="lines of the servers' configuration")


class Liveness(Model):
    """The bounds within which work must go on and end."""

    recovery: Duration = Field(
        default=15.0, description="after a fault is healed, a task must be completed within this"
    )
    drain: Duration = Field(
        default=30.0, description="after the last fault is healed and all is submitted, all must be done"
    )


class NemesisSpec(Model):
    """Faults at random: the plan draws from the seed which of a mix strikes when, and for how long."""

    mix: list[Any]
    every: Duration = Field(
        default=2.0, description="how far apart they strike; drawn anew each time, from half of it to one and a half"
    )
    for_: Duration = Field(
        default=6.0,
        alias="for",
        description="how long after the workload began the last may strike; multiplied by --huey-scale, as tasks are",
    )
    at_once: Annotated[int, Field(ge=1, le=8)] = Field(
        default=2, description="how many are meant to be in force at once; the next waits for the end of one"
    )


class ScenarioBase(Model):
    """One question to a backend: a workload, the faults it meets, and what must hold."""

    apiVersion: Literal["huey-harness/v1"] = Field(description="the version of this format")
    name: Name = Field(description="unique within the file; by it the scenario is selected and reported")
    asks: Annotated[str, Field(min_length=1, max_length=500)] = Field(description="the question, in words")
    topologies: Annotated[list[Topo], Field(min_length=1)] | None = Field(
        default=None, description="where it applies; default everywhere"
    )
    topology: TopologySpec = TopologySpec()
    consumers: Consumers = Consumers()
    workload: Any
    beside: list[Any] = Field(default_factory=list, max_length=7)
    faults: list[Any] = Field(default_factory=list, max_length=FAULTS_MAX)
    nemesis: Any = None
    liveness: Liveness = Liveness()
    competing: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="how many dequeues must have had a choice between priorities, for order to be proven",
    )

    @field_validator("faults")
    @classmethod
    def _few(cls, faults: list[Any]) -> list[Any]:
        if sum(fault.repeat.times if fault.repeat else 1 for fault in faults) > FAULTS_MAX:
            raise ValueError(f"must be {FAULTS_MAX} at most, those that are repeated counted as often")
        return faults

    @property
    def workloads(self) -> tuple[WorkloadSpec, ...]:
        """All that is submitted, by producers of each."""
        return (self.workload, *self.beside)

    @property
    def period_s(self) -> float | None:
        """How often consumers' schedulers enqueue what is periodic; None where nothing is."""
        return next((one.period_s for one in self.workloads if one.period_s is not None), None)

    @property
    def requires(self) -> frozenset[str]:
        """Capabilities that its workloads ask of the storage."""
        return frozenset().union(*(type(one).requires for one in self.workloads))

    @property
    def possible_faults(self) -> list[FaultSpec]:
        """All that may strike, whatever is drawn."""
        return [*self.faults, *(self.nemesis.mix if self.nemesis else ())]


Scenario = ScenarioBase


@functools.cache
def scenario_model() -> type[ScenarioBase]:
    """The model with every registered fault and workload in it."""
    from harness.faults import FAULTS
    from harness.workloads import WORKLOADS

    return build_model([fault.spec for fault in FAULTS], [workload.spec for workload in WORKLOADS])


def build_model(faults: Sequence[type[FaultSpec]], workloads: Sequence[type[WorkloadSpec]]) -> type[ScenarioBase]:
    """The model that knows these faults and workloads, told apart by their `kind`. Neither may be empty."""

    def joined(models: Sequence[type[Model]]) -> Any:
        if len(models) == 1:
            return models[0]
        return Annotated[Union[tuple(models)], Field(discriminator="kind")]  # noqa: UP007 - built at run time

    workload_list: Any = list[joined(workloads)]  # type: ignore[misc]
    fault_list: Any = list[joined(faults)]  # type: ignore[misc]
    mix: Any = list[joined([_in_a_mix(fault) for fault in faults])]  # type: ignore[misc]
    nemesis: Any = create_model(
        "Nemesis",
        __base__=NemesisSpec,
        __doc__=NemesisSpec.__doc__,
        mix=(mix, Field(min_length=1, max_length=FAULTS_MAX, description="what it draws from; each is as likely")),
    )
    return create_model(
        "Scenario",
        __base__=ScenarioBase,
        __doc__=ScenarioBase.__doc__,
        workload=(joined(workloads), Field(description="what producers submit")),
        beside=(
            workload_list,
            Field(default_factory=list, max_length=7, description="further workloads, each by producers of its own"),
        ),
        faults=(
            fault_list,
            Field(default_factory=list, max_length=FAULTS_MAX, description="what is done to the run, and when"),
        ),
        nemesis=(nemesis | None, Field(default=None, description="what is done to the run at random")),
    )


def _in_a_mix(fault: type[FaultSpec]) -> type[FaultSpec]:
    """The same fault where its moment is drawn: it has none of its own."""
    drawn: Any = (None, Field(default=None, description="drawn"))
    made: type[FaultSpec] = create_model(
        f"{fault.__name__}InMix",
        __base__=fault,
        __doc__=fault.__doc__,
        at=drawn,
        repeat=drawn,
        for_=(
            Duration,
            Field(
                default=fault.model_fields["for_"].default,
                alias="for",
                description="how long it lasts; drawn from half of it to one and a half",
            ),
        ),
    )
    return made
