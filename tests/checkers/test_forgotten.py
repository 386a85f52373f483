"""A storage that is there to forget: what comes out of it convicts it, and what is lost in it is what it is for."""

from __future__ import annotations

from harness.backends.own import resolve
from harness.checkers import Context
from harness.checkers.judge import judge
from harness.verdict import Validity, Verdict
from tests.checkers.scripts import history

KEPT = """
    0-1 producer-0 enqueue 1
    2-3 producer-0 enqueue 2
    4-5x consumer-0/w1 dequeue
    {}
    90-91 drain drain
"""


def judged(more: str, *, forgets: bool = True) -> Verdict:
    backend = resolve("blackhole")
    return judge(
        history(KEPT.format(more)),
        Context(order=backend.order, limits=backend.limits, forgets=forgets, recovery_s=1, drain_s=1),
    )


def test_to_forget_everything_is_its_known_limit() -> None:
    verdict = judged("")
    assert verdict.excused
    assert verdict.counts["lost"] == 2
    assert verdict.known_limits == ("forgets-everything",)


def test_a_task_that_comes_out_convicts_it() -> None:
    verdict = judged("6-7 consumer-0/w1 dequeue 1\n8-9 consumer-0/w1 execute 1\n10-11 consumer-0/w1 complete 1")
    assert verdict.validity is Validity.INVALID
    assert not verdict.excused
    assert [(one.anomaly, one.tasks) for one in verdict.findings if not one.limit] == [("handed_out", (1,))]


def test_all_that_comes_out_convicts_it_though_nothing_is_lost() -> None:
    done = "\n".join(
        f"{at}-{at + 1} consumer-0/w1 dequeue {task}\n{at + 2}-{at + 3} consumer-0/w1 complete {task}"
        for task, at in ((1, 10), (2, 20))
    )
    verdict = judged(done)
    assert verdict.counts["lost"] == 0
    assert {one.anomaly for one in verdict.findings} == {"handed_out"}
    assert not verdict.excused


def test_a_task_that_comes_out_of_the_schedule_convicts_it_too() -> None:
    verdict = judged("6-7 consumer-0/scheduler read_schedule tasks=1\n8-9 consumer-0/scheduler read_schedule")
    assert [(one.anomaly, one.tasks) for one in verdict.findings if not one.limit] == [("handed_out", (1,))]


def test_a_task_that_it_still_holds_convicts_it() -> None:
    script = KEPT.replace("90-91 drain drain", "90-91x drain drain tasks=1").format("")
    backend = resolve("blackhole")
    verdict = judge(history(script), Context(order="none", limits=backend.limits, forgets=True))
    assert {one.anomaly for one in verdict.findings if not one.limit} == {"stuck"}


def test_of_others_it_is_not_asked() -> None:
    verdict = judged("6-7 consumer-0/w1 dequeue 1\n8-9 consumer-0/w1 complete 1", forgets=False)
    assert "handed_out" not in {one.anomaly for one in verdict.findings}
