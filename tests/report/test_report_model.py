"""The model tells what the history holds: stories, sentences, series, and what it left out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.history import log
from harness.history.columns import History
from harness.history.merge import read_run
from harness.report.clusters import clusters
from harness.report.logs import CHARS_ALL, clock_offset_s, timed
from harness.report.model import build, build_result, fault_views, verdict_sentences
from harness.report.promised import promised
from harness.report.read import read_result, result_folders
from harness.report.replication import behind
from harness.report.series import build_series, series_of_progress
from harness.report.shapes import ResultModel, RoleSpan, to_json
from harness.report.spans import OPEN, pair
from harness.report.story import Narrator, agent_of, worker_of
from harness.report.timeline import NEAR_NS, build_timeline

from .synthetic import MS, ORIGIN_NS, Invented, S, invent, write_logs, write_result


def history_of(folder: Path, made: Invented) -> History:
    write_logs(folder / "history", made.events)
    return read_run(folder / "history")


def base() -> Invented:
    """Task 1 goes its whole way, from the run's first event on."""
    made = Invented()
    made.span("producer-0", log.ENQUEUE, 0, MS, task=1, priority=2.0)
    made.span("consumer-0/w1", log.DEQUEUE, 2 * MS, 3 * MS, task=1)
    made.span("consumer-0/w1", log.EXECUTE, 4 * MS, 9 * MS, task=1)
    made.span("consumer-0/w1", log.COMPLETE, 10 * MS, 11 * MS, task=1)
    return made


def finding(task: int, anomaly: str = "lost", faults: tuple[int, ...] = (), **more: Any) -> dict[str, Any]:
    return {
        "anomaly": anomaly, "tasks": [task], "evidence": [], "faults": list(faults), "limit": None,
        "summary": f"task {task} {anomaly}", **more,
    }  # fmt: skip


def kill(struck: str, at_ns: int, healed_ns: int | None = None, **more: Any) -> dict[str, Any]:
    healed = None if healed_ns is None else ORIGIN_NS + healed_ns
    return {
        "kind": "kill", "target": "consumer", "struck": [struck], "injected_ns": ORIGIN_NS + at_ns, "healed_ns": healed,
        "landed": True, "proof": "", "healed": healed is not None, "heal_proof": "", "color": "#123456", **more,
    }  # fmt: skip


def told(history: History, findings: list[dict[str, Any]], faults: list[dict[str, Any]]) -> list[str]:
    """The verdict's sentences."""
    document = {"validity": "invalid", "counts": {}, "checks": [{"findings": findings}], "faults": faults}
    views = fault_views(document, ORIGIN_NS)
    return verdict_sentences(document, clusters(document, {}, views, Narrator(history, views)))


def test_the_contracts_own_example(tmp_path: Path) -> None:
    made = base()
    for task in (7, 8):
        made.span(f"producer-{task % 2}", log.ENQUEUE, 12_405 * MS, 12_410 * MS, task=task)
        made.span(f"consumer-1/w{task}", log.DEQUEUE, 12_420 * MS, 12_430 * MS, task=task)
    sentences = told(
        history_of(tmp_path, made),
        [finding(7, faults=(0,)), finding(8, faults=(0,))],
        [kill("consumer-1", 12_450 * MS)],
    )
    assert sentences == ["2 tasks lost: acknowledged at 12.41 s, held by consumer-1 when it was killed at 12.45 s"]


@pytest.mark.parametrize(
    ("anomaly", "count", "sentence"),
    [
        ("lost_in_flight", 1, "1 task lost in flight: acknowledged at 0.00 s, though consumer-0/w1 completed it"),
        ("duplicated", 1, "1 task duplicated: task 1 duplicated"),
        ("duplicated", 2, "2 tasks duplicated, the first: task 1 duplicated"),
        ("priority_inversions", 1, "1 priority inversion: task 1 priority_inversions"),
        ("fifo_inversions", 2, "2 fifo inversions, the first: task 1 fifo_inversions"),
        ("early", 2, "2 tasks begun early, the first: task 1 early"),
    ],
)
def test_every_anomaly_has_its_sentence(anomaly: str, count: int, sentence: str, tmp_path: Path) -> None:
    found = [finding(task, anomaly) for task in range(1, 1 + count)]
    assert told(history_of(tmp_path, base()), found, [])[0].startswith(sentence)


def test_a_worker_that_went_on_is_not_excused_by_a_later_kill(tmp_path: Path) -> None:
    made = base()
    made.span("producer-0", log.ENQUEUE, 20 * MS, 21 * MS, task=7)
    made.span("consumer-1/w1", log.DEQUEUE, 30 * MS, 31 * MS, task=7)
    made.span("consumer-1/w1", log.DEQUEUE, 40 * MS, 50 * MS, log.FAIL)
    sentences = told(history_of(tmp_path, made), [finding(7)], [kill("consumer-1", 2 * S)])
    assert sentences == ["1 task lost: acknowledged at 0.02 s, last held by consumer-1, which went on to other work"]


def test_a_task_nobody_took_names_the_fault_or_says_that_none_was_near(tmp_path: Path) -> None:
    made = base()
    made.span("producer-0", log.ENQUEUE, 20 * MS, 21 * MS, task=7)
    history = history_of(tmp_path, made)
    assert told(history, [finding(7, faults=(0,))], [kill("node-1", 30 * MS)]) == [
        "1 task lost: acknowledged at 0.02 s, never dequeued; node-1 was killed at 0.03 s"
    ]
    assert told(history, [finding(7)], []) == [
        "1 task lost: acknowledged at 0.02 s, never dequeued, and no fault was near"
    ]


def test_a_task_handed_back_is_told_so(tmp_path: Path) -> None:
    made = base()
    made.span("producer-0", log.ENQUEUE, 20 * MS, 21 * MS, task=7)
    made.span("consumer-1/w1", log.DEQUEUE, 22 * MS, 23 * MS, task=7)
    made.span("reaper", log.REQUEUE, 30 * MS, 31 * MS, task=7)
    assert told(history_of(tmp_path, made), [finding(7)], []) == [
        "1 task lost: acknowledged at 0.02 s, handed back and never dequeued again, and no fault was near"
    ]


def test_an_unfinished_dequeue_may_have_had_it(tmp_path: Path) -> None:
    made = base()
    made.span("producer-0", log.ENQUEUE, 20 * MS, 21 * MS, task=7)
    made.add("consumer-1/w3", 22 * MS, log.INVOKE, log.DEQUEUE)
    history = history_of(tmp_path, made)
    sentences = told(history, [finding(7, evidence=[len(history) - 1])], [])
    assert sentences == [
        "1 task lost: acknowledged at 0.02 s, perhaps taken by the unfinished dequeue of consumer-1/w3"
    ]


def test_losses_beyond_the_listed_findings_are_counted(tmp_path: Path) -> None:
    made = base()
    made.span("producer-0", log.ENQUEUE, 20 * MS, 21 * MS, task=7)
    history = history_of(tmp_path, made)
    document = {"validity": "invalid", "counts": {"lost": 5_000}, "checks": [{"findings": [finding(7)]}]}
    found = clusters(document, {}, (), Narrator(history, ()))
    assert verdict_sentences(document, found)[-1] == "5,000 tasks lost in all; 1 of them listed as findings"


def test_the_story_has_every_event_of_a_task_and_its_last_place(tmp_path: Path) -> None:
    made = base()
    made.add("drain", 20 * MS, log.INVOKE, log.DRAIN)
    made.add("drain", 30 * MS, log.FAIL, log.DRAIN, tasks=[2, 3])
    made.span("producer-0", log.ENQUEUE, 12 * MS, 13 * MS, log.INFO, task=3, error=log.E_TIMEOUT)
    narrator = Narrator(history_of(tmp_path, made), ())
    story = narrator.story(1)
    assert [(line.t, line.process, line.what) for line in story.lines] == [
        (0.0, "producer-0", "enqueue called, priority 2"),
        (0.001, "producer-0", "enqueue acknowledged"),
        (0.002, "consumer-0/w1", "dequeue called"),
        (0.003, "consumer-0/w1", "dequeued"),
        (0.004, "consumer-0/w1", "execution began"),
        (0.009, "consumer-0/w1", "execution ended"),
        (0.010, "consumer-0/w1", "completion called"),
        (0.011, "consumer-0/w1", "completed"),
    ]
    assert story.place == "completed by consumer-0/w1 at 0.01 s"
    held = narrator.story(3)
    assert held.place == "still held by the storage after the run"
    assert "enqueue ended, its outcome unknown (time-out)" in [line.what for line in held.lines]
    assert narrator.story(99).place == "never enqueued"


def test_a_late_acknowledgement_does_not_put_a_task_back(tmp_path: Path) -> None:
    made = base()
    made.span("producer-0", log.ENQUEUE, 20 * MS, 40 * MS, task=7)
    made.span("consumer-1/w1", log.DEQUEUE, 25 * MS, 30 * MS, task=7)
    assert Narrator(history_of(tmp_path, made), ()).place(7).agent == "consumer-1"


def test_a_long_life_is_cut_in_its_middle(tmp_path: Path) -> None:
    made = base()
    for i in range(100):
        made.span("consumer-1/w1", log.REQUEUE, (20 + 2 * i) * MS, (21 + 2 * i) * MS, task=1)
    story = Narrator(history_of(tmp_path, made), ()).story(1)
    assert len(story.lines) == 60
    assert story.cut == 208 - 60
    assert story.lines[0].what == "enqueue called, priority 2"
    assert story.lines[-1].what == "handed back to the queue"


def test_spans_pair_nested_open_and_unknown_operations(tmp_path: Path) -> None:
    made = Invented()
    made.add("consumer-0/w1", 0, log.INVOKE, log.EXECUTE, task=1)
    made.span("consumer-0/w1", log.ENQUEUE, 1 * MS, 2 * MS, task=2)
    made.add("consumer-0/w1", 3 * MS, log.OK, log.EXECUTE, task=1)
    made.add("consumer-0/w1", 4 * MS, log.INVOKE, log.DEQUEUE)
    spans = pair(history_of(tmp_path, made))
    rows = [(int(f), int(how), int(task)) for f, how, task in zip(spans.f, spans.how, spans.task, strict=True)]
    assert rows == [(log.EXECUTE, log.OK, 1), (log.ENQUEUE, log.OK, 2), (log.DEQUEUE, OPEN, -1)]
    assert (spans.end - spans.start)[:2].tolist() == [3 * MS, MS]


def test_names_of_workers_and_programs() -> None:
    assert worker_of("consumer-1/w2.13") == "consumer-1/w2"
    assert agent_of("consumer-1.2") == "consumer-1"
    assert agent_of("consumer-1/w2.1") == "consumer-1"


def test_clusters_group_by_shape_and_put_the_uncovered_first(tmp_path: Path) -> None:
    made = base()
    faults = [kill("consumer-0", 5 * MS), kill("consumer-1", 6 * MS), kill("node-1", 7 * MS)]
    document = {
        "faults": faults,
        "checks": [
            {
                "findings": [
                    finding(1, "duplicated", (0,), limit="known"),
                    finding(2, "lost", (0,), limit="known"),
                    finding(3, "lost", (1,), limit="known"),
                    finding(4, "priority_inversions", (2,)),
                    finding(5, "lost", (0,)),
                ]
            }
        ],
    }
    views = fault_views(document, ORIGIN_NS)
    found = clusters(document, {"known": "because"}, views, Narrator(history_of(tmp_path, made), views))
    assert [(one.anomaly, one.limit, one.faults, one.count) for one in found] == [
        ("lost", None, "kill consumer", 1),
        ("priority inversion", None, "kill node", 1),
        ("lost", "known", "kill consumer", 2),
        ("duplicated", "known", "kill consumer", 1),
    ]
    assert found[2].limit_why == "because"


@pytest.mark.parametrize(
    ("lost", "order", "sentence"),
    [
        (0, "valid", "all 5 acknowledged tasks were completed exactly once, in order"),
        (0, "unknown", "all 5 acknowledged tasks were completed exactly once"),
        (None, "valid", "5 tasks acknowledged, 4 completed; without a drain, no more is claimed"),
    ],
)
def test_a_valid_run_claims_no_more_than_was_checked(lost: int | None, order: str, sentence: str) -> None:
    document = {
        "validity": "valid",
        "counts": {"acknowledged": 5, "completed": 4, "lost": lost},
        "checks": [{"checker": "order", "validity": order, "findings": []}],
    }
    assert verdict_sentences(document, ()) == [sentence]


def test_series_count_every_acknowledgement_and_completion_once(tmp_path: Path) -> None:
    made = invent(2_000, kill=False)
    series = build_series(history_of(tmp_path, made))
    for rates in (series.acknowledged, series.completed):
        assert sum(rate * series.interval_s for rate in rates if rate) == pytest.approx(2_000, abs=0.1)
    assert series.outstanding[-1] == 0
    assert series.source == "complete"


def test_latency_runs_from_the_call_or_the_due_time(tmp_path: Path) -> None:
    made = base()
    made.add("producer-1", 0, log.INVOKE, log.SCHEDULE, task=5, eta=ORIGIN_NS + 1_000 * MS)
    made.add("producer-1", MS, log.OK, log.SCHEDULE, task=5)
    made.span("consumer-0/w1", log.COMPLETE, 1_040 * MS, 1_050 * MS, task=5)
    series = build_series(history_of(tmp_path, made))
    assert series.p50[0] == pytest.approx(11.0)
    assert series.p99[-1] == pytest.approx(50.0)
    assert series.p95[3] is None


def test_dequeues_stand_in_where_nothing_else_was_recorded(tmp_path: Path) -> None:
    made = Invented()
    made.span("p", log.ENQUEUE, 0, MS, task=1)
    made.span("c", log.DEQUEUE, 2 * MS, 5 * MS, task=1)
    series = build_series(history_of(tmp_path, made))
    assert series.source == "dequeue"
    assert series.p50 == [pytest.approx(5.0)]


def test_progress_samples_give_throughput() -> None:
    rows = [{"time_ns": i * S, "acknowledged": 100 * i, "completed": 50 * i} for i in range(11)]
    series = series_of_progress(rows)
    assert series.acknowledged[5] == pytest.approx(100)
    assert series.outstanding[-2] == pytest.approx(500, abs=10)
    assert series_of_progress(rows[:1]).t == []


def test_what_is_near_a_finding_is_never_cut_and_what_is_cut_is_counted(tmp_path: Path) -> None:
    made = invent(12_000)
    history = history_of(tmp_path, made)
    spans = pair(history)
    at = ORIGIN_NS + made.kill_ns
    timeline = build_timeline(history, spans, (), (), [[at]], 1_000)
    near = (spans.start <= at + NEAR_NS) & ((spans.end >= at - NEAR_NS) | (spans.how == OPEN))
    shown = {(lane, start) for lane, start in zip(timeline.lane, timeline.start, strict=True)}
    assert len(timeline.start) == near.sum()
    assert {start for _, start in shown} == {int(t) // 1000 for t in (spans.start - ORIGIN_NS)[near]}
    assert timeline.findings == timeline.marks == [made.kill_ns / 1e9]
    assert timeline.total == len(spans)
    assert sum(map(sum, timeline.omitted)) == len(spans) - len(timeline.start)
    assert f"{len(timeline.start):,} of {len(spans):,} operations" in timeline.cut
    assert "Within 2 s of a finding none is left out" in timeline.cut


def test_where_findings_are_everywhere_the_page_still_ends(tmp_path: Path) -> None:
    made = invent(3_000)
    history = history_of(tmp_path, made)
    spans = pair(history)
    every = range(ORIGIN_NS, ORIGIN_NS + made.end_ns, 100 * MS)
    timeline = build_timeline(history, spans, (), (), [[t] for t in every], 200)
    assert len(timeline.start) <= 2_000
    assert "Within 2 s" not in timeline.cut
    assert "of a finding none is left out" in timeline.cut


def test_without_a_finding_the_budget_is_kept_and_what_ended_oddly_goes_first(tmp_path: Path) -> None:
    made = invent(2_000, kill=False, outage=True)
    history = history_of(tmp_path, made)
    spans = pair(history)
    timeline = build_timeline(history, spans, (), (), [], 500)
    assert len(timeline.start) == 500
    assert timeline.how.count(log.INFO) == int((spans.how == log.INFO).sum())
    assert build_timeline(history, spans, (), (), [], len(spans)).cut == ""


def test_lanes_keep_restarted_workers_together_and_stand_in_order(tmp_path: Path) -> None:
    made = base()
    made.span("consumer-0/w10", log.DEQUEUE, 20 * MS, 21 * MS, log.INFO)
    made.span("consumer-0/w10", log.DEQUEUE, 22 * MS, 23 * MS, log.FAIL)
    made.span("drain", log.DRAIN, 30 * MS, 31 * MS)
    history = history_of(tmp_path, made)
    assert "consumer-0/w10.1" in history.processes
    samples = [
        {"time_ns": ORIGIN_NS, "members": [{"name": "node-1", "role": "primary", "of": "0-5"}]},
        {"time_ns": ORIGIN_NS + 10 * MS, "members": []},
        {"time_ns": ORIGIN_NS + 20 * MS, "members": [{"name": "node-1", "role": "replica", "of": "node-2"}]},
    ]
    timeline = build_timeline(history, pair(history), (), samples, [], 100)
    assert [(lane.group, lane.name) for lane in timeline.lanes] == [
        ("nemesis", "nemesis"),
        ("node", "node-1"),
        ("producer", "producer-0"),
        ("consumer", "consumer-0/w1"),
        ("consumer", "consumer-0/w10"),
        ("other", "drain"),
    ]
    assert timeline.roles == (
        RoleSpan(1, 0.0, 0.01, "primary", "0-5"),
        RoleSpan(1, 0.02, 0.031, "replica", "node-2"),
    )


def test_an_open_operation_is_drawn_until_its_program_was_struck(tmp_path: Path) -> None:
    made = base()
    made.add("consumer-1/w1", 20 * MS, log.INVOKE, log.DEQUEUE)
    made.span("producer-0", log.ENQUEUE, 90 * MS, 100 * MS, task=2)
    history = history_of(tmp_path, made)
    faults = fault_views({"faults": [kill("consumer-1", 50 * MS)]}, ORIGIN_NS)
    timeline = build_timeline(history, pair(history), faults, (), [], 100)
    row = timeline.how.index(OPEN)
    assert timeline.length[row] == 30_000


def test_a_fault_that_struck_nobody_was_never_in_force() -> None:
    skipped = kill("consumer-1", S) | {"landed": False, "struck": []}
    stuck = kill("consumer-1", S)
    first, second = fault_views({"faults": [skipped, stuck]}, ORIGIN_NS)
    assert (first.start, first.end) == (1.0, 1.0)
    assert second.end is None


def test_a_folder_left_half_written_still_has_its_model(tmp_path: Path) -> None:
    folder = write_result(tmp_path / "run", invent(100), "worker-crash", "cluster")
    (folder / "verdict.json").write_text('{"validity": "inv')
    with (folder / "samples" / "roles.jsonl").open("a") as stream:
        stream.write('{"time_ns": 12, "mem')
    result = only(tmp_path / "run")
    assert (result.validity, result.standing) == ("unknown", "unknown")
    assert any("verdict.json cannot be read" in note for note in result.notes)
    assert len(result.timeline.start) == result.timeline.total > 0

    (folder / "plan.json").unlink()
    for each in (folder / "history").iterdir():
        each.unlink()
    (folder / "history").rmdir()
    result = only(tmp_path / "run")
    assert (result.scenario, result.backend) == ("worker-crash", "cluster")
    assert any("no plan.json" in note for note in result.notes)
    assert to_json(build(tmp_path / "run"))


def test_an_empty_folder_is_a_run_without_results(tmp_path: Path) -> None:
    assert result_folders(tmp_path) == []
    assert build(tmp_path).results == ()


def test_findings_without_number_are_capped_and_counted(tmp_path: Path) -> None:
    folder = write_result(tmp_path / "run", invent(1_500), "worker-crash", "cluster")
    verdict = json.loads((folder / "verdict.json").read_text())
    verdict["checks"][0]["findings"] = [finding(task) for task in range(1_500)]
    (folder / "verdict.json").write_text(json.dumps(verdict))
    cluster = only(tmp_path / "run").clusters[0]
    assert (cluster.count, cluster.tasks, len(cluster.findings)) == (1_500, 1_500, 100)
    assert sum(bool(one.stories) for one in cluster.findings) <= 100


def test_long_logs_are_told_by_their_end(tmp_path: Path) -> None:
    logs = {"node-1": "start\n" + "word\n" * 50_000 + "last words"}
    write_result(tmp_path / "run", invent(50), "steady", "cluster", logs=logs)
    (text,) = only(tmp_path / "run").logs
    assert text.lines[-1] == (None, "last words")
    assert 0 < len(text.lines) < 50_002 and text.left_out == 50_002 - len(text.lines)
    assert sum(len(line) for _, line in text.lines) <= CHARS_ALL


@pytest.mark.parametrize("hours", [0, 2, -7])
def test_lines_of_logs_stand_on_the_runs_clock_whatever_their_zone(hours: int) -> None:
    started_s = datetime(2026, 11, 23, 2, 50, 40, tzinfo=UTC).timestamp()
    samples = [{"time_ns": ORIGIN_NS + 500 * MS, "unix_ns": int((started_s + 0.5) * 1e9)}]
    at = datetime(2026, 11, 23, 2, 50, 44, 167_000) + timedelta(hours=hours)
    lines = [f"2:M {at:%d %b %Y %H:%M:%S}.167 # Cluster state changed: fail", f"{at:%Y-%m-%d %H:%M:%S},895 one", "two"]
    (told,) = timed({"node-1": lines}, clock_offset_s(samples, ORIGIN_NS), 10.0, [])
    assert [t for t, _ in told.lines] == [4.167, 4.895, 4.895]


def test_lines_near_a_finding_are_kept_before_others() -> None:
    started_s = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
    lines = [f"2026-11-23 00:{i // 60:02}:{i % 60:02},000 {'x' * 380}" for i in range(600)]
    (told,) = timed({"node-1": lines}, started_s, 600.0, [100.0])
    kept = {t for t, _ in told.lines}
    assert {98.0, 99.0, 100.0, 101.0, 102.0, 599.0} <= kept and 95.0 not in kept
    assert told.left_out == 600 - len(told.lines)


def test_what_is_promised_stands_beside_what_was_seen() -> None:
    backend = {
        "promises": [{"name": "no-loss", "under": ["none"]}, {"name": "no-duplicates", "under": ["none", "failover"]}],
        "limits": [{"name": "popped", "anomaly": "lost", "fault_class": "worker-crash"}],
    }
    document = {"faults": [kill("consumer-1", S, 2 * S, classes=["worker-crash"])]}
    found = [finding(1, faults=(0,), limit="popped"), finding(2), finding(3, "duplicated"), finding(4, "ran_revoked")]
    rows = promised(backend, found, fault_views(document, ORIGIN_NS))
    assert [(row.promise, row.fault_class, row.word, row.observed, row.covered) for row in rows] == [
        ("no-loss", "none", "promised", 1, 0),
        ("no-loss", "worker-crash", "known limit", 1, 1),
        ("no-duplicates", "none", "promised", 1, 0),
        ("no-duplicates", "worker-crash", "no promise", 0, 0),
        ("no ran revoked", "none", "no promise", 1, 0),
        ("no ran revoked", "worker-crash", "no promise", 0, 0),
    ]


def test_how_far_replicas_were_behind_whoever_was_their_primary() -> None:
    def at(ms: int, **more: Any) -> dict[str, Any]:
        return {"time_ns": ORIGIN_NS + ms * MS, **more}

    def replica(name: str, of: str) -> dict[str, str]:
        return {"name": name, "role": "replica", "of": of}

    roles = [at(0, members=[replica("node-2", "node-1")]), at(200, members=[replica("node-1", "node-2")])]
    offsets = [
        at(10, offsets={"node-1": 100, "node-2": 60}),
        at(20, offsets={"node-1": 100, "node-2": 90}),
        at(110, offsets={"node-1": 110, "node-2": 111}),
        at(210, offsets={"node-1": 120, "node-2": 150}),
        at(310, offsets={"node-2": 150}),
    ]
    assert behind(roles, offsets, ORIGIN_NS, 0.1, 4) == (
        ("node-1", [None, None, 30, None]),
        ("node-2", [40, 0, None, None]),
    )


def test_what_is_queued_what_is_held_and_latency_by_priority(tmp_path: Path) -> None:
    made = Invented()
    for task, priority in ((1, 0.0), (2, 5.0)):
        made.span("producer-0", log.ENQUEUE, task * MS, task * MS + 100, task=task, priority=priority)
    made.span("consumer-0/w1", log.DEQUEUE, 150 * MS, 160 * MS, task=2)
    made.span("consumer-0/w1", log.COMPLETE, 240 * MS, 250 * MS, task=2)
    made.span("consumer-0/w1", log.DEQUEUE, 260 * MS, 310 * MS, task=1)
    made.span("consumer-0/w1", log.COMPLETE, 410 * MS, 420 * MS, task=1)
    series = build_series(history_of(tmp_path, made))
    assert series.queued == [2, 1, 1, 0, 0]
    assert series.held == [0, 1, 0, 1, 0]
    assert [(priority, max(p for p in p95 if p is not None)) for priority, p95 in series.by_priority] == [
        (5.0, pytest.approx(248)),
        (0.0, pytest.approx(419)),
    ]


def only(run: Path) -> ResultModel:
    """The model of the one result in `run`."""
    (folder,) = result_folders(run)
    return build_result(read_result(folder), "r0", 20_000)
