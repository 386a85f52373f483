"""JUnit that every reader of it takes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.protocols import HarnessError
from harness.report.junit import write_junit
from harness.report.result import Broken, Result

from .conftest import EVIL
from .test_report_terminal import lost, result


@pytest.fixture
def results() -> list[Result]:
    bad = result("worker-crash", **lost(None), seed=7, runtime="local", versions={"huey": "3.5.4"})
    return [
        Result(result("steady").verdict, 4.5),
        Result(bad.verdict, 6.25, f"2 tasks lost: …\n\ntask 17, lost:\n\ufffe {EVIL}\nreplay: pytest --huey-replay=x"),
        Result(result("worker-pause", "redis", **lost("popped-before-run")).verdict, 1.0, "told"),
        Result(result(EVIL, EVIL, validity="unknown").verdict, 1.0, "fault 1 was not seen to land"),
    ]


def parse(path: Path) -> list[ET.Element]:
    root = ET.parse(path).getroot()
    assert root.tag == "testsuites"
    return root.findall("testsuite/testcase")


def test_a_testcase_for_each_result(tmp_path: Path, results: list[Result]) -> None:
    path = write_junit(tmp_path / "junit.xml", results)
    cases = parse(path)
    suite = ET.parse(path).getroot().find("testsuite")
    assert suite is not None
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "4", "failures": "2", "errors": "0", "skipped": "1", "time": "12.750",
    }  # fmt: skip
    names = [case.get("name") for case in cases]
    assert names[:3] == ["steady[cluster]", "worker-crash[cluster]", "worker-pause[redis]"]
    assert cases[1].get("time") == "6.250"
    properties = {p.get("name"): p.get("value") for p in cases[1].iter("property")}
    assert properties.items() >= {
        "seed": "7", "backend": "cluster", "runtime": "local", "version.huey": "3.5.4", "count.lost": "2",
        "count.acknowledged": "2000", "validity": "invalid",
    }.items()  # fmt: skip


def test_outcomes_follow_the_contract(tmp_path: Path, results: list[Result]) -> None:
    cases = parse(write_junit(tmp_path / "junit.xml", results))
    outcomes = [[child.tag for child in case if child.tag != "properties"] for case in cases]
    assert outcomes == [[], ["failure"], ["skipped"], ["failure"]]
    skipped = cases[2].find("skipped")
    assert skipped is not None and skipped.get("message") == "known limits: popped-before-run (1 lost)"
    strict = parse(write_junit(tmp_path / "strict.xml", results, strict=True))
    assert strict[2].find("failure") is not None


def test_the_failure_has_the_story_without_illegal_characters(tmp_path: Path, results: list[Result]) -> None:
    path = write_junit(tmp_path / "junit.xml", results)
    failure = parse(path)[1].find("failure")
    assert failure is not None and failure.text is not None
    assert failure.get("message") == "2 tasks lost: …"
    assert "task 17, lost:" in failure.text and "replay: pytest" in failure.text
    assert "</script><img src=x onerror=alert(1)>" in failure.text
    assert not set(path.read_text("utf-8")) & {"\x1b", "\x00", "\ufffe"}


def test_what_was_not_run_is_an_error_and_a_replay_is_a_property(tmp_path: Path, results: list[Result]) -> None:
    results[1] = Result({**results[1].verdict, "replay": "pytest --huey-replay=x"}, 1.0, "told")
    path = write_junit(tmp_path / "junit.xml", results, [Broken(f"chords[{EVIL}]", f"no server {EVIL}")])
    cases = parse(path)
    suite = ET.parse(path).getroot().find("testsuite")
    assert suite is not None and (suite.get("tests"), suite.get("errors")) == ("5", "1")
    error = cases[4].find("error")
    assert error is not None and error.get("message", "").startswith("no server </script>")
    replays = [p.get("value") for case in cases for p in case.iter("property") if p.get("name") == "replay"]
    assert replays == ["pytest --huey-replay=x"]


def test_it_is_what_readers_of_junit_know(tmp_path: Path, results: list[Result]) -> None:
    """The elements and attributes of the common schema (jenkinsci/xunit-plugin, junit-10.xsd); beyond it only a case's
    properties, before all else in it, as pytest itself writes them.
    """
    known = {
        "testsuites": {"name", "time", "tests", "failures", "errors"},
        "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
        "testcase": {"name", "classname", "time"},
        "properties": set(),
        "property": {"name", "value"},
        "failure": {"type", "message"},
        "error": {"type", "message"},
        "skipped": {"type", "message"},
    }
    root = ET.parse(write_junit(tmp_path / "junit.xml", results, [Broken("a", "b")])).getroot()
    seen = {element.tag for element in root.iter()}
    assert seen == set(known)
    for element in root.iter():
        assert set(element.attrib) == known[element.tag], element.tag
        if element.tag == "testcase" and element.find("properties") is not None:
            assert element[0].tag == "properties"


def test_no_results_is_a_valid_file(tmp_path: Path) -> None:
    assert parse(write_junit(tmp_path / "junit.xml", [])) == []


def test_what_cannot_be_written_is_named(tmp_path: Path, results: list[Result]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match=r"junit\.xml"):
        write_junit(tmp_path / "file" / "junit.xml", results)
