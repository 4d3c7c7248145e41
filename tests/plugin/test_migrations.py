"""Leaving a model: `--goal migration` from the command line to the stored run, and days of retirement that are told."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import Project

from harness.cli import main
from harness.testing import FaultyEndpoint

CASES = 110
SUITE = """\
name: echoes
role: target
scorers: [{{type: exact_match}}]
cases:
{cases}
"""


def echoes(cases: int = CASES) -> str:
    listed = "\n".join(f'  - {{id: c{n}, prompt: "word{n}", expected: "word{n}"}}' for n in range(cases))
    return SUITE.format(cases=listed)


def told(prompt: str) -> str:
    """What a model says that repeats every word."""
    return prompt


def forgetful(prompt: str) -> str:
    """What one says that has lost a third of the words."""
    return "?" if int(prompt.removeprefix("word")) % 3 == 0 else prompt


@pytest.fixture
def moving(project: Project) -> Project:
    """A project whose two models answer alike, and whose one suite is a target."""
    project.candidate._answers = project.base._answers = told
    project.suite("capitals", echoes())
    return project


def in_days(days: int) -> str:
    return (datetime.now(timezone.utc) + timedelta(days=days)).date().isoformat()


# --- the goal --------------------------------------------------------------------------------------


def test_as_good_is_equivalent_and_exits_0_now_and_from_the_stored_run(
    moving: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    result = moving.run("--goal", "migration", "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*gate?guard?*PASSED*", "*verdict: EQUIVALENT (promote)*"])
    run = moving.stored()
    assert (run.manifest.goal, run.manifest.suites[0].role) == ("migration", "guard")
    assert "Equivalent</h1>" in page_of(run.path)
    capsys.readouterr()
    assert main(["gate", str(run.path)]) == 0
    assert "verdict: EQUIVALENT (promote)" in capsys.readouterr().out
    assert main(["show", str(run.path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["outcome"], shown["word"], shown["goal"]) == ("promote", "equivalent", "migration")


def test_worse_exits_1(moving: Project) -> None:
    moving.candidate._answers = forgetful
    moving.configure('goal = "migration"')
    result = moving.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*verdict: WORSE (hold)*"])


def test_a_run_with_another_goal_is_another_run_but_pays_for_no_answer(moving: Project) -> None:
    without = moving.run()
    without.stdout.fnmatch_lines(["*verdict: UNDECIDED*"])
    assert moving.run("--goal", "migration").ret == 0
    assert moving.requests == 2 * CASES
    assert len(list((moving.pytester.path / "reports").glob("*/manifest.json"))) == 2


def test_another_goal_is_refused_with_those_there_are(moving: Project) -> None:
    result = moving.run("--goal", "migrate")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    words = "--goal: 'migrate' is not one of 'improvement' or 'migration' (did you mean 'migration'?)"
    result.stdout.fnmatch_lines([words])
    assert moving.requests == 0


def page_of(run: Path | None) -> str:
    assert run is not None
    return (run / "index.html").read_text(encoding="utf-8")


# --- days of retirement ----------------------------------------------------------------------------


@pytest.fixture
def retiring(project_with: Callable[..., Project]) -> Project:
    """A project whose candidate's endpoint tells that it goes in thirty days."""
    day = in_days(30)
    listed = [{"id": "acme/tuned", "object": "model", "shutdown_date": day}]
    made = project_with(FaultyEndpoint(told, models=listed))
    made.suite("capitals", echoes(4))
    return made


def test_a_day_of_retirement_is_told_everywhere(
    retiring: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    result = retiring.run()
    words = f"the candidate model acme/tuned is shut down on {in_days(30)}, 30 days after this run"
    result.stdout.fnmatch_lines([f"warning: {words} (says the endpoint): *docs/migration.md*"])
    run = retiring.stored()
    assert [(one.role, one.day) for one in run.manifest.retirements] == [("candidate", in_days(30))]
    assert words[1:] in page_of(run.path)
    capsys.readouterr()
    main(["show", str(run.path)])
    assert words in capsys.readouterr().out
    main(["show", str(run.path), "--json"])
    assert json.loads(capsys.readouterr().out)["warnings"][0].startswith(words)


def test_an_estimate_asks_nobody_and_a_run_each_endpoint_once(retiring: Project) -> None:
    retiring.run("--estimate")
    assert (retiring.candidate.listings, retiring.base.listings) == (0, 0)
    retiring.run()
    assert (retiring.candidate.listings, retiring.base.listings) == (1, 1)


# --- shortened prompts -----------------------------------------------------------------------------


def test_a_shorter_prompt_is_told_with_what_it_saves(moving: Project) -> None:
    prompts = 'prompts: {base: "Say the word again, and not one word more.", candidate: "Again."}\n'
    moving.suite("capitals", echoes() + prompts)
    result = moving.run("--goal", "migration")
    words = (
        "echoes: not worse with 80 % fewer prompt tokens (2 a call, not 10), saves 0.008 USD per 1,000 calls"
    )
    result.stdout.fnmatch_lines([f"*{words}*"])
    assert words in page_of(moving.stored().path)
