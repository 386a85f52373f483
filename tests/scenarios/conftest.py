"""Faults and workloads of the tests' own, so that what is tested does not move with those that are shipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field, model_validator

from harness.scenario import Duration, FaultSpec, Model, Scenario, ScenarioBase, WorkloadSpec, build_model
from harness.scenario_file import read_scenarios

Read = Callable[[str | bytes], list[Scenario]]


class KillSpec(FaultSpec):
    """Kills."""

    kind: Literal["kill"]
    again: bool = Field(default=True, description="whether it is started again")
    targets: ClassVar[tuple[str, ...]] = ("primary-of-queue", "consumer")


class CutSpec(FaultSpec):
    """Cuts."""

    kind: Literal["cut-off"]
    from_: Literal["everyone", "clients"] = Field(default="everyone", alias="from", description="from whom")
    targets: ClassVar[tuple[str, ...]] = ("consumer", "minority")


class Slot(Model):
    """A slot."""

    first: int


class PlainSpec(WorkloadSpec):
    """Plain tasks."""

    kind: Literal["plain"]
    takes: tuple[Duration, Duration] = Field(default=(0.0, 0.004), description="shortest and longest")
    size: Annotated[str, Field(pattern=r"^\d+[kM]$")] = "1k"
    where: Slot | list[int] | None = None

    @model_validator(mode="after")
    def _longest_last(self) -> PlainSpec:
        if self.takes[0] > self.takes[1]:
            raise ValueError("the shortest task must not take longer than the longest")
        return self


class RankedSpec(WorkloadSpec):
    """Tasks with priorities."""

    kind: Literal["ranked"]
    priorities: Annotated[list[int], Field(min_length=1, max_length=4)] = Field(default=[0, 1])


@pytest.fixture(scope="session")
def model() -> type[ScenarioBase]:
    return build_model([KillSpec, CutSpec], [PlainSpec, RankedSpec])


@pytest.fixture(scope="session")
def read(model: type[ScenarioBase]) -> Read:
    """Read the content of a file called `s.yaml`."""

    def read_content(content: str | bytes) -> list[Scenario]:
        data = content.encode() if isinstance(content, str) else content
        return read_scenarios(data, "s.yaml", model)

    return read_content
