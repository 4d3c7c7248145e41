import itertools
from collections.abc import Callable

import pytest
from conftest import SUITE, Project

from harness.pytest_plugin import pytest_cmdline_main
from harness.testing.endpoints import FaultyEndpoint

DRY = """\
def test_knows_peru(candidate, score):
    answer = candidate.ask("Capital of Peru?", max_tokens=5)
    assert score(answer, {"type": "exact_match"}, expected="Lima").value == 1.0
"""

# Two worker processes import the harness: these tests are few because each costs seconds.


def test_workers_ask_once_and_the_controller_writes_every_row(project: Project) -> None:
    guard = SUITE.format(role="guard").replace("name: capitals", "name: capitals-guard\nsystem: Be brief.")
    project.suite("guard", guard)
    (project.pytester.path / "suites" / "test_dry.py").write_text(DRY, encoding="utf-8")
    result = project.run("-n", "2")
    assert project.requests == 16 + 1, "each worker asks for the suites it runs, and for no other"
    run = project.stored()
    assert len(run.results) == 16 + 1
    assert run.manifest.status == "complete"
    assert set(run.manifest.selected) == {"capitals", "capitals-guard", "test_dry"}
    result.stdout.fnmatch_lines(["test_dry *info *", "verdict: *"])


def test_reason_of_a_stop_comes_from_the_worker(project_with: Callable[[FaultyEndpoint], Project]) -> None:
    project = project_with(FaultyEndpoint(faults=itertools.repeat(401)))
    result = project.run("-n", "2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED, "as without workers"
    manifest = project.stored().manifest
    assert manifest.status == "interrupted"
    assert "the key is missing or wrong (401)" in (manifest.reason or "")


def test_stopping_at_the_first_failure_exits_as_without_workers(project: Project) -> None:
    project.candidate._answers = "Lyon"
    result = project.run("-n", "1", "-x")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert project.stored().manifest.reason == "stopping after 1 failures"


def test_mistakes_of_a_suite_are_told_before_any_worker_collects(project: Project) -> None:
    project.suite("broken", "name: [")
    result = project.run("-n", "1")
    assert result.ret == pytest.ExitCode.INTERRUPTED, "as without workers"
    assert "broken.suite.yaml:1: " in result.stderr.str()
    assert project.requests == 0


def test_a_worker_that_crashes_ends_the_run_and_keeps_what_came(project: Project) -> None:
    dying = (
        "import os\n\ndef test_dies(candidate):\n    os._exit(1)\n\ndef test_after(candidate):\n    pass\n"
    )
    (project.pytester.path / "suites" / "test_dry.py").write_text(dying, encoding="utf-8")
    result = project.pytester.runpytest_subprocess("suites", "-n", "1", timeout=120)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["harness: worker 'gw0' crashed while running 'suites/test_dry.py::test_dies'*"]
    )
    run = project.stored()
    assert run.manifest.status == "interrupted"
    assert "crashed" in (run.manifest.reason or "")
    assert len(run.results) == 8


@pytest.mark.parametrize("mode", ["load", "loadgroup", "worksteal"])
def test_items_of_a_suite_stay_on_one_worker(project: Project, mode: str) -> None:
    config = project.pytester.parseconfig("suites", "-n", "2", "--dist", mode)
    pytest_cmdline_main(config)
    assert config.option.dist == "loadfile"


def test_estimate_needs_no_workers(project: Project) -> None:
    result = project.run("-n", "2", "--estimate")
    result.stdout.fnmatch_lines(["in all about * USD (*"])
    assert result.ret == 0
    assert not (project.pytester.path / "reports").exists()
