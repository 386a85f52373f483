"""JUnit XML of a run, for CI systems that read nothing else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from harness.report.files import write_whole
from harness.report.model import limits_text, standing
from harness.report.result import Broken, Result
from harness.report.text import one_line, printable

# What XML 1.0 (2.2 Characters) does not allow even as a character reference.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, results: Sequence[Result], broken: Sequence[Broken] = (), *, strict: bool = False) -> Path:
    """Write one testcase for each result, with the contract's outcomes.

    Valid passes, known limits are skipped as pytest's xfail (failures if `strict`), unknown and invalid
    fail; what broke before there was anything to judge is an error. Raises HarnessError naming the file when it
    cannot be written.
    """
    cases = [*(_case(result, strict) for result in results), *map(_error, broken)]
    seconds = sum(result.seconds for result in results)
    totals = {
        "name": "huey-harness",
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(len(broken)),
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
        "time": f"{seconds:.3f}",
    }
    root = ET.Element("testsuites", {k: v for k, v in totals.items() if k != "skipped"})
    ET.SubElement(root, "testsuite", totals).extend(cases)
    ET.indent(root)
    write_whole(path, ET.tostring(root, encoding="utf-8", xml_declaration=True))
    return path


def _case(result: Result, strict: bool) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=f"huey-harness.{_line(result.scenario)}",
        name=f"{_line(result.scenario)}[{_line(result.backend)}]",
        time=f"{result.seconds:.3f}",
    )
    verdict = result.verdict
    properties = ET.SubElement(case, "properties")
    facts = {name: verdict.get(name) for name in ("seed", "backend", "runtime", "validity", "recovery_ms_max")}
    facts["replay"] = verdict.get("replay")
    facts |= {f"version.{name}": version for name, version in (verdict.get("versions") or {}).items()}
    facts |= {f"count.{name}": value for name, value in result.counts.items()}
    for name, value in facts.items():
        if value not in (None, ""):
            ET.SubElement(properties, "property", name=_line(name), value=_line(value, 1000))
    state = standing(verdict)
    text = _legal(printable(result.story))
    if state == "limits" and not strict:
        ET.SubElement(case, "skipped", type="pytest.xfail", message=_line(limits_text(result.verdict))).text = text
    elif state != "valid":
        first = text.strip().partition("\n")[0]
        ET.SubElement(case, "failure", type=state, message=_line(first or state)).text = text
    return case


def _error(broken: Broken) -> ET.Element:
    case = ET.Element("testcase", classname="huey-harness", name=_line(broken.name), time="0.000")
    ET.SubElement(case, "error", type="not run", message=_line(broken.why)).text = _legal(printable(broken.why))
    return case


def _line(value: object, limit: int = 300) -> str:
    return _legal(one_line(value, limit))


def _legal(text: str) -> str:
    return _ILLEGAL.sub("", text)
