"""The trend over runs, under everything that happens to a folder of reports."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.protocols import DeadlineExceeded, HarnessError
from harness.report import index
from harness.report.index import RUNS_SHOWN, read_runs, record_run, write_index
from harness.report.result import Result
from harness.report.trend import cells

from .conftest import EVIL
from .test_report_terminal import lost, result


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    return tmp_path / "reports"


def folder(reports: Path, name: str) -> Path:
    path = reports / name
    path.mkdir(parents=True)
    (path / "report.html").write_text("")
    return path


def results(**more: Any) -> list[Result]:
    return [Result(result(**more).verdict, 3.0)]


def test_a_run_is_appended_linked_and_drawn(reports: Path) -> None:
    record_run(reports, folder(reports, "20260801T101500Z-aa"), results(seed=7, runtime="local"))
    record_run(reports, folder(reports, "20260801T111500Z-bb"), results(**lost(None)))
    lines = [json.loads(line) for line in (reports / "runs.jsonl").read_text().splitlines()]
    assert [line["run"] for line in lines] == ["20260801T101500Z-aa", "20260801T111500Z-bb"]
    assert lines[0]["seed"] == 7
    assert lines[1]["results"][0]["counts"]["lost"] == 2
    assert lines[1]["results"][0]["standing"] == "invalid"
    assert os.readlink(reports / "latest") == "20260801T111500Z-bb"
    page = (reports / "index.html").read_text()
    assert page.index("20260801T111500Z-bb/report.html") < page.index("20260801T101500Z-aa/report.html")
    assert "✘ invalid" in page and "✔ valid" in page
    assert not list(reports.glob(".*"))


def test_a_torn_line_costs_only_itself(reports: Path) -> None:
    reports.mkdir()
    (reports / "runs.jsonl").write_bytes(b'[1]\n{"run": "20260801T091500Z-torn", "resu')
    record_run(reports, folder(reports, "20260801T101500Z-aa"), results())
    runs, torn = read_runs(reports / "runs.jsonl")
    assert [run["run"] for run in runs] == ["20260801T101500Z-aa"]
    assert torn == 2
    assert "2 lines of runs.jsonl could not be read" in (reports / "index.html").read_text()


def test_the_newest_two_hundred_are_shown(reports: Path) -> None:
    reports.mkdir()
    lines = [json.dumps({"run": f"run-{i}", "results": []}) for i in range(RUNS_SHOWN + 50)]
    (reports / "runs.jsonl").write_text("\n".join(lines) + "\n")
    page = write_index(reports).read_text()
    assert page.count("no results") == RUNS_SHOWN
    assert "run-249" in page and "run-49<" not in page


def test_hostile_names_stay_text(reports: Path) -> None:
    reports.mkdir()
    evil = {"run": f"../../{EVIL}", "time": EVIL, "runtime": EVIL, "seed": EVIL}
    odd = {"scenario": EVIL, "backend": EVIL, "standing": EVIL, "counts": {"lost": EVIL}, "recovery_ms_max": EVIL}
    (reports / "runs.jsonl").write_text(json.dumps({**evil, "results": [odd, None, 3]}) + "\n")
    page = write_index(reports).read_text()
    assert "<img" not in page and "</script" not in page
    assert "<a " not in page


def test_where_links_cannot_be_made_latest_is_a_file(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    record_run(reports, folder(reports, "20260801T101500Z-aa"), results())
    assert (reports / "latest").read_text() == "20260801T101500Z-aa\n"


def test_a_full_disk_names_the_file_and_leaves_no_half_line(reports: Path) -> None:
    run = folder(reports, "20260801T101500Z-aa")
    record_run(reports, run, results())
    before = (reports / "runs.jsonl").read_bytes()
    # In a process of its own: a limit on the size of files stands in for a full disk.
    code = f"""
import resource, signal, sys
from pathlib import Path
from harness.protocols import HarnessError
from harness.report.index import record_run
from harness.report.result import Result
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 40}, {len(before) + 40}))
try:
    record_run(Path({str(reports)!r}), Path({str(run)!r}), [Result({{"scenario": "s", "backend": "b"}})])
except HarnessError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "cannot append to" in done.stdout and "runs.jsonl" in done.stdout
    assert (reports / "runs.jsonl").read_bytes() == before


def test_a_latest_that_cannot_be_replaced_is_named(reports: Path) -> None:
    run = folder(reports, "20260801T101500Z-aa")
    (reports / "latest" / "inside").mkdir(parents=True)
    with pytest.raises(HarnessError, match=r"cannot write .*latest"):
        record_run(reports, run, results())
    assert not list(reports.glob(".latest*"))


def test_two_runs_at_once_take_turns(reports: Path) -> None:
    reports.mkdir()
    code = """
import sys
from pathlib import Path
from harness.report.index import record_run
from harness.report.result import Result
reports = Path(sys.argv[1])
for i in range(20):
    run = reports / f"run-{sys.argv[2]}-{i}"
    run.mkdir()
    record_run(reports, run, [Result({"scenario": "s" * 3000, "backend": "b"})])
"""
    started = [subprocess.Popen([sys.executable, "-c", code, str(reports), name]) for name in "ab"]
    assert [process.wait(60) for process in started] == [0, 0]
    runs, torn = read_runs(reports / "runs.jsonl")
    assert (len(runs), torn) == (40, 0)
    assert os.readlink(reports / "latest") == runs[0]["run"]


def test_a_lock_that_is_never_free_is_named(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = folder(reports, "20260801T101500Z-aa")
    monkeypatch.setattr(index, "LOCK_TIMEOUT_S", 0.05)
    with (reports / "runs.jsonl").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(DeadlineExceeded, match=r"lock on .*runs\.jsonl"):
            record_run(reports, run, results())


def line(run: str, standing: str, recovery: float | None = None, **counts: int) -> str:
    one = {"scenario": "steady", "backend": "cluster", "standing": standing, "counts": counts}
    versions = {"server": "valkey 9.1.2", "huey": "3.5.4"}
    return json.dumps({"run": run, "versions": versions, "results": [{**one, "recovery_ms_max": recovery}]})


def test_a_cell_tells_its_changes_and_since_when_it_is_bad(reports: Path) -> None:
    reports.mkdir()
    standings = ("valid", "invalid", "valid", "unknown", "invalid")
    lines = [line(f"run-{i}", standing, 100.0 * i, lost=i) for i, standing in enumerate(standings)]
    (reports / "runs.jsonl").write_text("\n".join(lines) + "\n")
    (cell,) = cells(read_runs(reports / "runs.jsonl")[0])
    assert (cell.server, cell.huey, cell.changes) == ("valkey 9.1.2", "3.5.4", 4)
    assert cell.first_bad is not None and cell.first_bad.run == "run-3"
    page = write_index(reports).read_text()
    assert "4 of 4" in page and "0 ms to 400 ms" in page and "0 to 4" in page
    trend = page.split("The trend", 1)[1].split("The runs", 1)[0]
    assert re.findall(r'title="run-\d: (\w+)"', trend) == list(standings)


def test_servers_and_hueys_are_columns_of_the_matrix(reports: Path) -> None:
    reports.mkdir()
    other = line("run-1", "limits").replace("valkey 9.1.2", "redis 7.2")
    (reports / "runs.jsonl").write_text(line("run-0", "valid") + "\n" + other + "\n")
    matrix = write_index(reports).read_text().split("matrix", 1)[1].split("</table>", 1)[0]
    assert matrix.count('scope="col"') == 1 + 2 and matrix.count('scope="row"') == 1
    assert "✔ valid" in matrix and "≈ known limits" in matrix
