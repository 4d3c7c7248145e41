"""What happens when the endpoint, the disk or the user stops the run: one clear message, nothing lost."""

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CAPITALS, SUITE, Project

from harness.pytest_plugin import conclusion
from harness.records import Failure
from harness.serial import to_json
from harness.testing.endpoints import Fault, FaultyEndpoint
from harness.verdict import verdict_of

BRITTLE = """\
from harness.records import Score, record

@record
class Brittle:
    def score(self, case, completion):
        if case.id == "peru":
            raise ValueError("too long")
        return Score(value=1.0, reason="short")
"""
Make = Callable[[FaultyEndpoint], Project]


def test_wrong_key_stops_the_run_with_one_message(project_with: Make) -> None:
    project = project_with(FaultyEndpoint(faults=itertools.repeat(401)))
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*acme/tuned*the key is missing or wrong (401)*"])
    assert project.candidate.requests <= 4
    assert project.stored().manifest.status == "interrupted"


def test_words_of_an_endpoint_cannot_steer_the_terminal(project_with: Make) -> None:
    fault = Fault(status=401, message="no\x1b[2J\x07 key")
    project = project_with(FaultyEndpoint(faults=itertools.repeat(fault)))
    for _ in range(2):  # the second run tells the reason of the first
        text = project.run().stdout.str()
        assert "no [2J key" in text
        assert "\x1b[2J" not in text
        assert "\x07" not in text


def test_unknown_model_is_an_error_of_the_endpoint_not_a_failed_case(project_with: Make) -> None:
    fault = Fault(status=404, code="model_not_found", message="The model `acme/tuned` does not exist")
    project = project_with(FaultyEndpoint(faults=itertools.repeat(fault)))
    result = project.run()
    result.stdout.fnmatch_lines(["*no such model (404)*"])
    assert "1 error" in result.stdout.str()
    assert " failed" not in result.stdout.str().splitlines()[-1]


def test_endless_429_ends_and_says_what_to_do(project_with: Make) -> None:
    fault = Fault(status=429, headers={"retry-after-ms": "1"})
    project = project_with(FaultyEndpoint(faults=itertools.repeat(fault)))
    result = project.run()
    result.stdout.fnmatch_lines(["*rate limited to the last retry*lower the concurrency*"])
    assert result.ret == 1
    failures = [row.outcome for row in project.stored().results if isinstance(row.outcome, Failure)]
    assert failures
    assert all(failure.kind == "rate_limit" for failure in failures)


def test_endpoint_that_is_down_is_named(project: Project) -> None:
    text = (project.pytester.path / "harness.toml").read_text(encoding="utf-8")
    text = text.replace(project.candidate.base_url, "http://127.0.0.1:9/v1")
    (project.pytester.path / "harness.toml").write_text(text, encoding="utf-8")
    result = project.run()
    result.stdout.fnmatch_lines(["*nothing answers at http://127.0.0.1:9/v1*"])
    assert result.ret == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HTTP_PROXY", "::bad"), ("ALL_PROXY", "socks5://127.0.0.1:1"), ("SSL_CERT_FILE", "/no/such.pem")],
)
def test_broken_environment_stops_the_run_with_one_message(
    project: Project, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    if variable == "SSL_CERT_FILE":  # certificates are for endpoints behind TLS
        config = project.pytester.path / "harness.toml"
        config.write_text(config.read_text(encoding="utf-8").replace("http:", "https:"), encoding="utf-8")
    monkeypatch.setenv(variable, value)
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*no connection can be set up: *{variable}*in the environment)"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert project.stored().manifest.status == "interrupted"
    assert project.requests == 0


def test_interrupted_run_is_resumed_and_pays_only_for_the_rest(project_with: Make) -> None:
    script: list[Fault | int | None] = [None, None, *itertools.repeat(401, 20)]
    project = project_with(FaultyEndpoint(CAPITALS, faults=script))
    project.run("--concurrency", "1")
    first = project.stored()
    assert first.manifest.status == "interrupted"
    project.candidate._faults = iter(())
    result = project.run("--concurrency", "1")
    result.stdout.fnmatch_lines([f"resuming {first.manifest.id}*"])
    again = project.stored()
    assert again.manifest.id == first.manifest.id
    assert again.manifest.status == "complete"
    assert len(again.results) == 8
    assert project.candidate.answered == 4


def test_results_that_cannot_be_written_stop_the_run_with_the_remedy(project: Project) -> None:
    (project.pytester.path / "reports").write_text("a file where a folder should be", encoding="utf-8")
    result = project.run()
    assert result.ret == 1
    assert "reports" in result.stdout.str()
    assert project.requests == 0


def test_disk_full_while_writing_keeps_the_answers(project: Project) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    project.pytester.makeconftest(
        """
        import pathlib
        from harness.evals import store

        class FullDisk(store.RunWriter):
            def __init__(self, *arguments, **options):
                super().__init__(*arguments, **options)
                self._file.close()
                self._file = pathlib.Path("/dev/full").open("a", encoding="utf-8")

        import harness.pytest_plugin.session as session
        session.RunWriter = FullDisk
        """
    )
    result = project.run("--concurrency", "1")
    session = sys.modules["harness.pytest_plugin.session"]
    store = sys.modules["harness.evals.store"]
    session.RunWriter = store.RunWriter  # type: ignore[attr-defined]
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*No space left on device (free some disk space and start again*"])
    (project.pytester.path / "conftest.py").unlink()
    project.run("--concurrency", "1")
    assert project.stored().manifest.status == "complete"
    assert project.requests <= 8 + 1, "only the request in flight may be asked again"


def start(project: Project, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "suites", "--concurrency", "1", *arguments],
        cwd=project.pytester.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def wait_for_requests(project: Project, count: int) -> None:
    for _ in range(1200):
        if project.requests >= count:
            return
        time.sleep(0.05)
    pytest.fail(f"only {project.requests} requests came")


def test_ctrl_c_keeps_the_run_and_marks_it(project_with: Make) -> None:
    project = project_with(FaultyEndpoint(CAPITALS, latency_s=0.5))
    process = start(project)
    wait_for_requests(project, 3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert "this run was interrupted" in output
    run = project.stored()
    assert run.manifest.status == "interrupted"
    project.run()
    assert project.stored().manifest.id == run.manifest.id


def test_sigkill_loses_no_answer_and_pays_none_twice(project_with: Make) -> None:
    project = project_with(FaultyEndpoint(CAPITALS, latency_s=0.3))
    process = start(project)
    wait_for_requests(project, 4)
    process.kill()
    process.communicate()
    project.run("--concurrency", "1")
    run = project.stored()
    assert run.manifest.status == "complete"
    assert len(run.results) == 8
    assert project.requests <= 8 + 1, "only the request in flight may be asked again"


def test_verdict_that_cannot_be_written_is_told_without_a_traceback(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(conclusion, "write_atomic", full_disk)
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["harness: *verdict.json: No space left on device (free some disk space*"])
    assert len(project.stored().results) == 8


@pytest.fixture
def brittle(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A suite whose scorer breaks on one case of four."""
    monkeypatch.syspath_prepend(str(project.pytester.path))
    (project.pytester.path / "brittle.py").write_text(BRITTLE, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "brittle", raising=False)
    suite = SUITE.format(role="target").split("gates:")[0].replace("exact_match", "'brittle:Brittle'")
    project.suite("capitals", suite)
    return project


def test_scorer_that_breaks_is_an_error_of_its_own_case_with_its_own_frames(brittle: Project) -> None:
    result = brittle.run()
    result.assert_outcomes(errors=1, passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "brittle:Brittle raised ValueError: too long",
            "brittle.py:7: in score",
            '    raise ValueError("too long")',
            "(judging candidate, base)",
        ]
    )
    assert "_pytest/runner.py" not in result.stdout.str()


def test_answers_a_scorer_broke_on_are_kept_unscored_and_the_verdict_says_so(brittle: Project) -> None:
    result = brittle.run()
    run = brittle.stored()
    assert run.manifest.status == "complete"
    assert len(run.results) == 8
    assert {row.case for row in run.results if row.scores["brittle:Brittle"].value is None} == {"peru"}
    assert "the run stopped" not in result.stdout.str()
    said = "a scorer of capitals broke on 2 answers, left unscored by it: brittle:Brittle raised ValueError: too long"
    result.stdout.fnmatch_lines([f"  - {said}", "*(1 of 4 cases left out, without a score)*"])
    assert run.path is not None
    stored = json.loads((run.path / "verdict.json").read_text(encoding="utf-8"))
    assert json.loads(to_json(verdict_of(run))) == stored, "the gate command says the same"
    assert said in stored["reasons"]


def test_editing_a_scorer_judges_the_same_answers_anew_without_asking(
    brittle: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    brittle.run("-x", "--concurrency", "1")
    first = brittle.stored()
    assert first.manifest.status == "interrupted"
    mended = BRITTLE.replace('raise ValueError("too long")', "pass")
    (brittle.pytester.path / "brittle.py").write_text(mended, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "brittle", raising=False)
    brittle.run("--concurrency", "1")
    run = brittle.stored()
    assert run.manifest.id != first.manifest.id, "another scorer makes another run"
    assert {row.scores["brittle:Brittle"].value for row in run.results} == {1.0}
    assert brittle.requests <= 8 + 1, "only the request in flight may be asked again"
