"""From a history to a verdict: all checkers, then the known limits."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from harness.checkers import CHECKERS, Checker, Context, Order
from harness.checkers.limits import cover
from harness.checkers.nemesis import faults_of
from harness.history.columns import History
from harness.protocols import FaultRecord
from harness.verdict import CheckResult, Validity, Verdict, combine


def judge(history: History, context: Context, only: Collection[str] | None = None) -> Verdict:
    """What all checkers (or `only` these) say together. Valid needs all of them valid.

    A checker that raises is `unknown`, with why. Raises UnknownName for a name in `only` that no checker has.
    """
    names = CHECKERS.names() if only is None else sorted(set(only))
    checkers = [(name, CHECKERS.get(name)) for name in names]
    return combine(_run(name, checker, history, context) for name, checker in checkers)


def _run(name: str, checker: Checker, history: History, context: Context) -> CheckResult:
    try:
        result = checker(history, context)
        if context.lacks and result.findings:
            return dataclasses.replace(result, validity=Validity.UNKNOWN, findings=())
        return dataclasses.replace(result, findings=cover(result.findings, context))
    except Exception as error:
        # A defect of ours must not pass for a property of theirs, nor hide what the other checkers say.
        why = f"the checker {name} crashed: {type(error).__name__}: {error}"
        return CheckResult(name, Validity.UNKNOWN, reasons=(why,))


def judge_alone(history: History, order: Order) -> tuple[Verdict, tuple[FaultRecord, ...]]:
    """What a history alone can tell, and the faults that it tells of."""
    faults = faults_of(history)
    return judge(history, Context(order=order, faults=faults)), faults
