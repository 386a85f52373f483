"""`huey-harness check FILE… [--order …] [--json]`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from harness.checkers import ORDERS
from harness.checkers.faults import in_flight
from harness.checkers.judge import judge_alone
from harness.history.columns import History
from harness.history.jsonl import HistoryError, read_jsonl
from harness.protocols import FaultRecord
from harness.registry import did_you_mean
from harness.verdict import SCHEMA, Validity, Verdict

USAGE = 64
_EXITS = {Validity.VALID: 0, Validity.INVALID: 1, Validity.UNKNOWN: 2}
#: From good to bad. 64 is worst: of that file nobody knows anything.
_BADNESS = (0, 2, 1, USAGE)
#: How many findings a person is shown of each file; --json has them all.
SHOWN_MAX = 10


def main_check(files: Sequence[str | Path], order: str, as_json: bool, out: TextIO) -> int:
    """Judge each file and print its verdict; the exit code is the worst: 0 valid, 2 unknown, 1 invalid, 64 malformed
    (or not to be read, or no file, or no such order)."""
    known = next((name for name in ORDERS if name == order), None)
    if known is None:
        out.write(f"unknown order {order!r}; there are {', '.join(ORDERS)}.{did_you_mean(order, ORDERS)}\n")
        return USAGE
    if not files:
        out.write("no history given: huey-harness check FILE…\n")
        return USAGE
    worst = 0
    for file in files:
        try:
            history = read_jsonl(Path(file))
        except HistoryError as error:
            code = USAGE
            text = _malformed(str(file), error.message, error.line, as_json)
        except OSError as error:
            code = USAGE
            text = _malformed(str(file), error.strerror or type(error).__name__, None, as_json)
        else:
            verdict, faults = judge_alone(history, known)
            code = _EXITS[verdict.validity]
            if as_json:
                struck = [_fault(history, fault) for fault in faults]
                text = _json(str(file), {**verdict.to_json(), "faults": struck})
            else:
                text = _story(str(file), verdict)
        out.write(text + "\n")
        out.flush()
        worst = max(worst, code, key=_BADNESS.index)
    return worst


def _json(file: str, fields: dict[str, Any]) -> str:
    # A file's name may hold bytes that are no UTF-8.
    return json.dumps({"schema": fields.get("schema", SCHEMA), "file": file, **fields})


def _fault(history: History, fault: FaultRecord) -> dict[str, Any]:
    """A fault as in verdict.json; whom it was aimed at, and by what it was proven, is not in a history."""
    return {
        "kind": fault.kind, "target": fault.target, "injected_ns": fault.injected_ns, "healed_ns": fault.healed_ns,
        "landed": fault.landed, "proof": fault.proof, "healed": fault.healed, "heal_proof": fault.heal_proof,
        "in_flight": in_flight(history, fault),
    }  # fmt: skip


def _malformed(file: str, message: str, line: int | None, as_json: bool) -> str:
    if as_json:
        return _json(file, {"error": message, "line": line})
    at = f"{_printable(file)}:{line}" if line is not None else _printable(file)
    return f"{at}: {_printable(message)}"


def _story(file: str, verdict: Verdict) -> str:
    lines = [f"{_printable(file)}: {verdict.validity}"]
    told = [f"{name} {value}" for name, value in verdict.counts.items() if value]
    unclaimed = [name for name, value in verdict.counts.items() if value is None]
    if told:
        lines.append("  " + ", ".join(told))
    if unclaimed:
        lines.append(f"  not claimed: {', '.join(unclaimed)}")
    lines.extend(f"  unknown: {_printable(reason)}" for reason in verdict.reasons)
    findings = verdict.findings
    for finding in findings[:SHOWN_MAX]:
        events = ", ".join(str(index) for index in finding.evidence)
        lines.append(f"  {finding.anomaly}: {_printable(finding.summary)} (events {events})")
    if len(findings) > SHOWN_MAX:
        lines.append(f"  … and {len(findings) - SHOWN_MAX:,} more findings; --json has them all")
    return "\n".join(lines)


def _printable(text: str) -> str:
    """Names come from anyone: nothing in them may steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
