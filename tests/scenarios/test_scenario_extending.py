"""Scenarios that extend others, and parameters: what they come out as, and what is said of those that cannot be."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from harness.scenario import Scenario
from harness.scenario_file import ScenarioErrors, find_scenarios, load, schema
from harness.scenario_file.template import scenario_text

HEAD = "apiVersion: huey-harness/v1\nname: {name}\n"
BASE = (
    HEAD.format(name="base")
    + """asks: What?
topologies: [standalone]
parameters:
  rate: 600
  longest: 4ms
workload:
  kind: plain
  tasks: 500
  rate: $rate
  takes: [1ms, $longest]
consumers: {workers: 3}
faults:
  - {kind: kill, target: consumer, at: {acknowledged: 40%}}
"""
)
Read = Callable[[str], list[Scenario]]


def over(*fields: str, name: str = "mine", base: str = "base") -> str:
    return "\n".join([HEAD.format(name=name) + f"extends: {base}", *fields]) + "\n"


def both(*fields: str) -> str:
    return BASE + "---\n" + over(*fields)


def test_what_is_not_said_is_inherited(read: Read) -> None:
    base, mine = read(both())
    assert mine == base.model_copy(update={"name": "mine"})
    assert (mine.workload.rate, mine.workload.takes) == (600, (0.001, 0.004))


def test_fields_of_mappings_are_laid_over_one_by_one_and_all_else_as_a_whole(read: Read) -> None:
    [_, mine] = read(both("workload: {tasks: 7}", "consumers: {count: 5}", "faults: []", "topologies: null"))
    assert (mine.workload.kind, mine.workload.tasks, mine.workload.rate) == ("plain", 7, 600)
    assert (mine.consumers.count, mine.consumers.workers) == (5, 3)
    assert mine.faults == []
    assert mine.topologies is None


def test_another_kind_inherits_nothing_of_the_first(read: Read) -> None:
    [_, mine] = read(both("workload: {kind: ranked}"))
    assert (mine.workload.kind, mine.workload.tasks) == ("ranked", 2000)


def test_a_parameter_given_anew_holds_in_what_is_inherited(read: Read) -> None:
    base, mine = read(both("parameters: {rate: null, longest: 8ms}"))
    assert (base.workload.rate, mine.workload.rate) == (600, None)
    assert mine.workload.takes == (0.001, 0.008)


def test_in_quotes_a_reference_is_text(read: Read) -> None:
    [scenario] = read(BASE.replace("asks: What?", "asks: '$rate'"))
    assert scenario.asks == "$rate"


def test_it_is_looked_for_beside_the_file_and_then_among_those_shipped(tmp_path: Path) -> None:
    (tmp_path / "steady.yaml").write_text(BASE.replace("base", "steady").replace("acknowledged: 40%", "elapsed: 1s"))
    (tmp_path / "mine.yaml").write_text(over(base="steady", name="one") + "---\n" + over(base="worker-crash"))
    one, mine = load(tmp_path / "mine.yaml")
    assert (one.asks, len(one.faults)) == ("What?", 1)
    assert (mine.workload.tasks, len(mine.faults)) == (2400, 3)


@pytest.mark.parametrize(
    ("fields", "place", "said"),
    [
        ("workload: {rate: fast}", "20:18", "`rate` must be a number"),
        ("workload: {raet: 5}", "20:12", "unknown field `raet`. There are: kind, tasks, producers, rate,"),
        ("parameters: {rate: fast}", "20:20", "`rate` must be a number"),
        ("parameters: {rate: [5]}", "20:20", "the parameter `rate` must be a single value, not a list of 1"),
        ("parameters: {rate: $longest}", "20:20", "the parameter `rate` must be a value itself, not '$longest'"),
        ("parameters: {raet: 5}", "20:14", "nothing refers to this parameter as $raet. Did you mean 'rate'?"),
        ("parameters: {Rate: 5}", "20:14", "a parameter's name is lower-case letters, digits and _, and `Rate`"),
        ("parameters: 5", "20:13", "`parameters` must be a mapping of names to values, not 5"),
        ("workload: {rate: $raet}", "20:18", "no parameter is called raet. Did you mean 'rate'? There are: rate"),
        ("workload:\n  rate: ${rate}", "21:9", "a parameter is written without braces, $rate;"),
        ("workload: {kind: $rate}", "20:18", "`kind` must be one of plain, ranked, not '$rate'"),
        ("exten: base", "20:1", "unknown field `exten`. Did you mean `extends`?"),
    ],
)
def test_what_is_wrong_is_said_of_the_place_at_fault(read: Read, fields: str, place: str, said: str) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        read(both(fields))
    assert any(str(one).startswith(f"s.yaml:{place}: ") and said in one.message for one in caught.value.problems), str(
        caught.value
    )


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("worker-crsh", "there is no scenario 'worker-crsh': not in this file, beside it, or shipped. Did you mean"),
        ("../other/secret", "`extends` must be the name of a scenario, such as worker-crash, not '../other/secret'"),
        ("/etc/passwd", "`extends` must be the name of a scenario"),
        ("[base]", "`extends` must be the name of a scenario, such as worker-crash, not a list of 1"),
        ("mine", "these extend one another in a circle: mine → mine"),
        ("outside", "outside.yaml leads out of its folder"),
        ("other", "other.yaml holds no scenario called other"),
    ],
)
def test_what_cannot_be_extended(tmp_path: Path, base: str, said: str) -> None:
    (tmp_path / "elsewhere.txt").write_text(BASE.replace("base", "outside"))
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "outside.yaml").symlink_to(tmp_path / "elsewhere.txt")
    (folder / "other.yaml").write_text(BASE)
    file = folder / "mine.yaml"
    file.write_text(over(base=base))
    with pytest.raises(ScenarioErrors) as caught:
        load(file)
    [problem] = caught.value.problems
    assert str(problem).startswith(f"{file}:3:10: ")
    assert said in problem.message


def test_a_circle_of_several_files_and_a_chain_that_is_too_long(tmp_path: Path) -> None:
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.yaml").write_text(over(name=name, base=base))
    with pytest.raises(ScenarioErrors, match=r"c\.yaml:3:10: .*circle: a → b → c → a$"):
        load(tmp_path / "a.yaml")
    for depth in range(7):
        (tmp_path / f"d{depth}.yaml").write_text(over(name=f"d{depth}", base=f"d{depth + 1}"))
    (tmp_path / "d6.yaml").write_text(BASE.replace("base", "d6"))
    assert load(tmp_path / "d1.yaml")
    with pytest.raises(ScenarioErrors, match=r"d5\.yaml:3:10: more than 5 scenarios below one another"):
        load(tmp_path / "d0.yaml")


def test_what_is_wrong_in_the_other_file_is_said_of_the_other_file(tmp_path: Path) -> None:
    base, mine = tmp_path / "base.yaml", tmp_path / "mine.yaml"
    mine.write_text(over())
    for content, place in ((BASE.replace("500", "many"), "10:10"), ("name: [\n", "1:7")):
        base.write_text(content)
        with pytest.raises(ScenarioErrors) as caught:
            load(mine)
        assert [str(one).split(": ")[0] for one in caught.value.problems] == [f"{base}:{place}"]


# ---------------------------------------------------------------- editors


@functools.cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema())


def complaints(content: str) -> list[str]:
    written: Any = YAML(typ="safe", pure=True).load(content)
    return [error.message for error in validator().iter_errors(written)]


def test_the_schema_takes_every_shipped_scenario() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert {path.name: found for path in find_scenarios(None) if (found := complaints(path.read_text()))} == {}


@pytest.mark.parametrize(
    "content",
    [
        BASE,
        over("workload: {rate: $rate, takes: [$a, 3s]}", "parameters: {rate: 5, a: 1s}", base="worker-crash"),
        over("workload: {kind: plain}", "nemesis: {every: 1s}", base="random-mix"),
        over("consumers: {count: $count}", "nemesis: null", base="random-mix"),
        scenario_text("mine", "worker-crash"),
        scenario_text("mine"),
    ],
)
def test_the_schema_takes_what_is_put_together(content: str) -> None:
    assert complaints(content) == []


@pytest.mark.parametrize(
    "content",
    [
        BASE.replace("  kind: plain\n", ""),
        BASE.replace("asks: What?\n", ""),
        BASE.replace("$rate", "fast"),
        over("workload: {raet: 5}"),
        over("parameters: {rate: [5]}"),
        over("consumers: {count: many}"),
        over("faults: [{kind: kil, target: consumer, at: {elapsed: 1s}}]"),
    ],
)
def test_the_schema_refuses_what_could_never_be(content: str) -> None:
    assert complaints(content) != []
