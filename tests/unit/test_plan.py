"""A plan holds every choice: the same three make the same plan, byte for byte, and a stored one comes back whole."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from pathlib import Path

import pytest

from harness.backends import BACKENDS
from harness.backends.own import resolve
from harness.plan import Plan, draw_plan, load_plan
from harness.scenario import TopologySpec
from harness.scenario_file import find_scenarios, load
from harness.session import versions

SCENARIOS = {path.stem: path for path in find_scenarios(None)}


def drawn(scenario: str = "worker-crash", backend: str = "cluster", seed: int = 7, scale: float = 1.0) -> Plan:
    return draw_plan(
        load(SCENARIOS[scenario])[0], resolve(backend), seed, runtime="local", server="valkey-9", scale=scale
    )


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("backend", [backend.name for backend in BACKENDS])
def test_the_same_choices_make_the_same_bytes(scenario: str, backend: str) -> None:
    assert drawn(scenario, backend).dumps() == drawn(scenario, backend).dumps()


def test_another_seed_is_another_plan() -> None:
    assert drawn(seed=7).dumps() != drawn(seed=8).dumps()


def test_seeds_of_one_scenario_do_not_hang_on_another() -> None:
    assert drawn("steady").producers[0].seed != drawn("worker-crash").producers[0].seed


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_stored_plan_comes_back_whole(scenario: str) -> None:
    plan = drawn(scenario)
    again = load_plan(json.loads(plan.dumps()))
    assert again.dumps() == plan.dumps()
    assert dataclasses.replace(again, backend=plan.backend) == plan


def test_tasks_are_shared_out_without_gap_or_overlap() -> None:
    plan = drawn(scale=0.0123)
    numbers = [n for one in plan.producers for n in range(one.first, one.first + one.count)]
    assert numbers == list(range(plan.tasks))
    assert plan.tasks == round(2400 * 0.0123)


@pytest.mark.parametrize(
    ("backend", "asked", "said", "planned"),
    [
        ("cluster-priority", None, None, 1),
        ("sentinel-priority", None, None, 2),
        ("cluster-priority", 2, None, 2),
        ("sentinel-priority", 1, None, 1),
        ("cluster-priority", 2, 0, 0),
        ("redis-priority", None, None, None),
    ],
)
def test_a_backend_may_ask_for_replicas_where_the_scenario_does_not_say(
    backend: str, asked: int | None, said: int | None, planned: int | None
) -> None:
    (scenario,) = load(SCENARIOS["steady"])
    scenario = scenario.model_copy(update={"topology": TopologySpec(replicas=said)})
    plan = draw_plan(
        scenario, dataclasses.replace(resolve(backend), replicas=asked), 7, runtime="local", server="valkey-9"
    )
    assert plan.scenario.topology.replicas == planned
    again = load_plan(json.loads(plan.dumps()))
    assert (again.scenario.topology.replicas, again.backend.replicas) == (planned, asked)


def test_a_plan_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="not a plan of this version"):
        load_plan({"schema": "huey-harness/plan/0"})


def test_a_class_takes_after_the_nearest_built_in_storage() -> None:
    own = resolve("tests.e2e.broken:ClusterDrops")
    assert (own.topology, own.order) == ("cluster", "priority-fifo")
    assert own.limits == resolve("cluster-priority").limits
    assert own.queue_key == resolve("cluster-priority").queue_key


def test_every_limit_names_a_scenario_that_there_is() -> None:
    for backend in BACKENDS:
        for limit in backend.limits:
            assert limit.evidence in SCENARIOS, (backend.name, limit)


def test_compose_files_are_what_the_descriptions_say() -> None:
    from harness.topologies.compose import DESCRIPTIONS, render

    folder = Path(__file__).parents[2] / "compose"
    for kind in DESCRIPTIONS:
        assert (folder / f"{kind}.yml").read_text() == render(kind), "run: python -m harness.topologies.compose"


def test_the_driver_is_among_the_versions_where_the_backend_has_one() -> None:
    pytest.importorskip("psycopg")
    told = versions([resolve("redis"), resolve("postgres")])
    assert told["psycopg"] == importlib.metadata.version("psycopg")
    assert "psycopg" not in versions([resolve("redis")])
