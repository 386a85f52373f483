"""What a scenario file says: the types, their defaults and limits. Reading files is `scenario_file`'s matter.

Faults and workloads bring their own fields: each registers a model derived from `FaultSpec` or `WorkloadSpec`, and
`scenario_model()` joins them into the model that files are held against (and the JSON Schema is made from).
"""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

API_VERSION = "huey-harness/v1"

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|m|h)\s*\Z")
_PERCENT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*\Z")


def _duration(value: object) -> object:
    if isinstance(value, str):
        match = _DURATION.match(value)
        if match is None:
            raise ValueError("a duration is a number and a unit: 500ms, 3s, 2min")
        return float(match[1]) * _UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("a duration is a number and a unit: 500ms, 3s, 2min")
    if value != 0:
        raise ValueError("a duration needs its unit: 500ms, 3s, 2min")
    return float(value)


def _share(value: object) -> object:
    if isinstance(value, str):
        match = _PERCENT.match(value)
        if match is None:
            raise ValueError("a share is a percentage such as 40%")
        return float(match[1]) / 100
    raise ValueError("a share is a percentage such as 40%")


#: Seconds, written `500ms`, `3s`, `2min`.
Duration = Annotated[
    float,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s*(ms|s|min|m|h)$")]),
    Field(ge=0, le=3600),
]
#: 0 to 1, written `40%`.
Share = Annotated[
    float,
    BeforeValidator(_share, json_schema_input_type=Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s*%$")]),
    Field(ge=0, le=1),
]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]

Topo = Literal["standalone", "sentinel", "cluster", "folder", "none"]


class Model(BaseModel):
    """Frozen, and strict about names: an unknown field is an error, not a silent nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Trigger(Model):
    """When a fault strikes: as soon as the workload has come this far. Exactly one is given."""

    acknowledged: Share | None = Field(None, description="share of the workload's tasks whose enqueue has returned")
    completed: Share | None = Field(None, description="share of the workload's tasks that have been completed")
    elapsed: Duration | None = Field(None, description="time since the workload began")

    def model_post_init(self, context: Any, /) -> None:
        if sum(value is not None for value in (self.acknowledged, self.completed, self.elapsed)) != 1:
            raise ValueError("give exactly one of acknowledged, completed, elapsed")


class FaultSpec(Model):
    """What every fault has. A fault's own file derives its model from this one and registers it."""

    kind: str
    target: str = Field(description="whom it strikes, by role")
    at: Trigger = Field(description="when it strikes")
    for_: Duration = Field(3.0, alias="for", description="how long it lasts before it is healed")
    in_flight: Annotated[int, Field(ge=0)] = Field(
        1, description="how much must have been in flight when it struck, for the run to prove anything"
    )

    #: Roles it can strike.
    targets: ClassVar[tuple[str, ...]] = ()
    #: What it needs of the runtime: a subset of {"links"}.
    needs: ClassVar[frozenset[str]] = frozenset()
    #: Its colour in the report.
    color: ClassVar[str] = "#888888"


class WorkloadSpec(Model):
    """What every workload has. A workload's own file derives its model from this one and registers it."""

    kind: str
    tasks: Annotated[int, Field(ge=1, le=10_000_000)] = Field(2000, description="tasks in all, over all producers")
    producers: Annotated[int, Field(ge=1, le=16)] = 2
    rate: Annotated[float, Field(gt=0, le=100_000)] | None = Field(
        600, description="tasks a second, over all producers; null = as fast as they can"
    )

    #: Capabilities that the backend must have, e.g. `priority`.
    requires: ClassVar[frozenset[str]] = frozenset()


class Consumers(Model):
    """The consumers of a run: how many processes, with how many workers each, of which kind."""

    count: Annotated[int, Field(ge=1, le=16)] = 2
    workers: Annotated[int, Field(ge=1, le=64)] = 4
    worker_type: Literal["thread", "process"] = "thread"
    start: Literal["with-producers", "after-producers"] = Field(
        "with-producers", description="after-producers builds a backlog first"
    )


class TopologySpec(Model):
    """Sizes and settings of the servers; what a topology does not have, it ignores."""

    primaries: Annotated[int, Field(ge=3, le=9)] = Field(3, description="cluster: primaries")
    replicas: Annotated[int, Field(ge=0, le=4)] | None = Field(
        None, description="replicas of each primary; default 1 in a cluster, 2 behind Sentinel"
    )
    sentinels: Annotated[int, Field(ge=1, le=7)] = 3
    node_timeout: Duration = Field(1.0, description="cluster-node-timeout; behind Sentinel, down-after-milliseconds")
    settings: dict[str, str | int] = Field(default_factory=dict, description="lines of the servers' configuration")


class Liveness(Model):
    """The bounds within which work must go on and end."""

    recovery: Duration = Field(15.0, description="after a fault is healed, a task must be completed within this")
    drain: Duration = Field(30.0, description="after the last fault is healed and all is submitted, all must be done")


class ScenarioBase(Model):
    """One question to a backend: a workload, the faults it meets, and what must hold."""

    apiVersion: Literal["huey-harness/v1"]  # noqa: N815 - as such files are written everywhere
    name: Name
    asks: Annotated[str, Field(min_length=1, max_length=500)] = Field(description="the question, in words")
    topologies: list[Topo] | None = Field(None, description="where it applies; default everywhere")
    topology: TopologySpec = TopologySpec()
    consumers: Consumers = Consumers()
    workload: Any
    faults: list[Any] = Field(default_factory=list, max_length=100)
    liveness: Liveness = Liveness()
    competing: Annotated[int, Field(ge=0)] = Field(
        0, description="how many dequeues must have had a choice between priorities, for order to be proven"
    )


Scenario = ScenarioBase


@functools.cache
def scenario_model() -> type[ScenarioBase]:
    """The model with every registered fault and workload in it."""
    from harness.faults import FAULTS
    from harness.workloads import WORKLOADS

    def joined(models: list[type[Model]]) -> Any:
        if len(models) == 1:
            return models[0]
        return Annotated[Union[tuple(models)], Field(discriminator="kind")]  # noqa: UP007 - built at run time

    fault: Any = joined([fault.spec for fault in FAULTS])
    workload: Any = joined([workload.spec for workload in WORKLOADS])
    return create_model(
        "Scenario",
        __base__=ScenarioBase,
        __doc__=ScenarioBase.__doc__,
        workload=(workload, Field(description="what producers submit")),
        faults=(list[fault], Field(default_factory=list, max_length=100, description="what is done to it")),
    )
