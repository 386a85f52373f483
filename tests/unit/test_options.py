"""What is wrong with options and ini keys: the place, the value, what would be valid; and nothing is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.plugin import OPTIONS
from harness.session import SCALE_MAX, SEED_MAX, Session

pytest_plugins = ["pytester"]
MEMORY = "--huey-backend=memory"


class Refused:
    """pytest in this process, which must end with a usage error."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.folder = pytester.path

    def __call__(self, *options: str) -> str:
        done = self._pytester.runpytest_inprocess("-p", "no:valkey", "-p", "no:hypothesispytest", *options)
        said = "\n".join([*done.outlines, *done.errlines])
        assert done.ret == pytest.ExitCode.USAGE_ERROR, said
        assert "Traceback" not in said and "INTERNALERROR" not in said
        assert not (self.folder / "reports").exists()
        return said


@pytest.fixture
def refused(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Refused:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setattr(Session, "run", None)
    return Refused(pytester)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--huey-bakend=redis"], ["there is no option --huey-bakend.", "Did you mean '--huey-backend'?"]),
        ([MEMORY, "--huey-senario", "x"], ["--huey-senario", "Did you mean '--huey-scenario'?", "--huey-replay"]),
        ([MEMORY, "--huey-nothing-like"], ["There are: --huey-backend, --huey-load, --huey-runtime"]),
        (["--huey-scenario=steady"], ["--huey-scenario says how", "--huey-backend=NAME", "list backends"]),
        (["--huey-strict"], ["--huey-strict says how"]),
        (["--huey-backend=,"], ["--huey-backend is ','", "list backends"]),
        (["--huey-backend=memory,,clustr"], ["'clustr'. Did you mean 'cluster'?"]),
        (["--huey-backend=:"], ["package.module:Class"]),
        ([MEMORY, "--huey-runtime=locl"], ["'locl'. Did you mean 'local'?"]),
        ([MEMORY, "--huey-scale=inf"], ["--huey-scale is inf", f"at most {SCALE_MAX}"]),
        ([MEMORY, "--huey-scale=nan"], ["--huey-scale is nan", "above 0"]),
        ([MEMORY, "--huey-scale=1e9"], ["--huey-scale is 1e+09"]),
        ([MEMORY, "--huey-scale=ten"], ["--huey-scale is 'ten'", "such as 0.1"]),
        ([MEMORY, "--huey-seed=-1"], ["--huey-seed is '-1'", f"from 0 to {SEED_MAX}"]),
        ([MEMORY, f"--huey-seed={2**63}"], ["--huey-seed is '9223372036854775808'"]),
        ([MEMORY, "--huey-seed=" + "9" * 5000], ["--huey-seed is '999", "…'"]),
        ([MEMORY, "--huey-scenario=absent.yaml"], ["'absent.yaml', and there is no such file"]),
        ([MEMORY, "--huey-scenario=folder/"], ["'folder/', and that folder holds no scenario file"]),
        ([MEMORY, "--huey-report=file"], ["--huey-report is 'file', and ", "is not a folder"]),
        ([MEMORY, "--huey-report=file/deeper"], ["--huey-report is 'file/deeper'", "--huey-report=FOLDER"]),
        (["--huey-replay=file"], ["--huey-replay: 'file' is no folder of a run", "plan.json"]),
        ([MEMORY, "--huey-keep", "-n", "2"], ["--huey-keep keeps one topology", "leave out one of the two"]),
    ],
)
def test_wrong_options(refused: Refused, options: list[str], said: list[str]) -> None:
    (refused.folder / "file").write_text("x")
    (refused.folder / "folder").mkdir()
    told = refused("--huey-runtime=local", *options) if MEMORY in options else refused(*options)
    for words in said:
        assert words in told


@pytest.mark.parametrize("name", [name for name, _, how in OPTIONS if how.get("action") != "store_true"])
def test_an_empty_value_is_none(refused: Refused, name: str) -> None:
    assert f"--huey-{name} is empty" in refused(f"--huey-{name}=")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("huey_bakend = redis", "unknown key 'huey_bakend'. Did you mean 'huey_backend'?"),
        ("huey_backend = clustr", "Did you mean 'cluster'?"),
        ("huey_backend = memory\nhuey_scale = ten", "huey_scale in "),
        ("huey_backend = memory\nhuey_seed = seven", "huey_seed in "),
        ("huey_backend = memory\nhuey_server = valky-9", "huey_server in "),
        ("huey_backend = memory\nhuey_runtime = locl", "huey_runtime in "),
        ("huey_backend = memory\nhuey_scenario =\n  stedy", "huey_scenario in "),
        ("huey_backend = memory\nhuey_version =\n  two", "huey_version in "),
        ("huey_backend = memory\nhuey_requires =\n  --pre", "huey_requires in "),
        ("huey_backend = memory\nhuey_report = pytest.ini", "huey_report in "),
        ("huey_replay = absent", "huey_replay in "),
        (
            "huey_backend = memory\nhuey_strict = perhaps",
            "huey_strict: invalid truth value 'perhaps'; say true or false",
        ),
    ],
)
def test_wrong_ini_keys_are_told_with_their_file(refused: Refused, lines: str, said: str) -> None:
    ini = refused.folder / "pytest.ini"
    ini.write_text(f"[pytest]\n{lines}\n")
    told = refused()
    assert said in told
    assert str(ini) in told


def test_an_option_is_not_blamed_on_the_ini_file(refused: Refused) -> None:
    (refused.folder / "pytest.ini").write_text("[pytest]\nhuey_backend = memory\nhuey_seed = 7\n")
    assert "pytest.ini)" not in refused("--huey-seed=seven")


def test_keys_of_others_and_options_alone_in_an_ini_file_are_nothing_to_us(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini("[pytest]\naddopts = --huey-report=elsewhere --huey-strict\nhuey_seed = 7\n")
    pytester.makepyfile("def test_mine(): pass")
    done = pytester.runpytest_inprocess("-p", "no:valkey", "-p", "no:hypothesispytest")
    done.assert_outcomes(passed=1)
    assert not Path("elsewhere").exists()
