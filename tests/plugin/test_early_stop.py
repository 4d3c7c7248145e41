"""`--early-stop`: scripted endpoints, whole runs through pytest."""

import json
from collections.abc import Callable, Mapping

import pytest
from conftest import Project

from harness.cli import main
from harness.records import Run
from harness.testing.endpoints import FaultyEndpoint
from harness.verdict import verdict_of

CASES = 80
QUARTER = CASES // 4


def suite_text(
    role: str = "target", *, name: str = "many", extra: str = "", required: tuple[int, ...] = ()
) -> str:
    rows = "\n".join(
        f'  - {{id: c{n}, prompt: "{name} {n}", expected: good{", required: true" if n in required else ""}}}'
        for n in range(CASES)
    )
    return f"name: {name}\nrole: {role}\n{extra}scorers: [{{type: exact_match}}]\ncases:\n{rows}\n"


def right_on(is_right: Callable[[int], bool], name: str = "many") -> Mapping[str, str]:
    return {f"{name} {n}": "good" if is_right(n) else "bad" for n in range(CASES)}


@pytest.fixture
def half(project: Project) -> Project:
    """One target suite, of which both models are right on the same half."""
    (project.pytester.path / "suites" / "capitals.suite.yaml").unlink()
    project.suite("many", suite_text())
    project.base._answers = project.candidate._answers = right_on(lambda n: n % 2 == 0)
    return project


def looked(run: Run) -> tuple[int | None, str]:
    assert run.manifest.looks is not None
    return run.manifest.looks.taken, run.manifest.looks.why


def test_a_harmful_candidate_stops_at_the_first_look(half: Project) -> None:
    half.candidate._answers = "bad"
    result = half.run("--early-stop", "-rs")
    assert result.ret == 1
    assert half.candidate.requests == half.base.requests == QUARTER
    outcomes = result.parseoutcomes()
    assert (outcomes["skipped"], outcomes["failed"]) == (CASES - QUARTER, 1), "the gate fails, and no case"
    run = half.stored()
    assert looked(run)[0] == 1
    assert len(run.results) == 2 * QUARTER
    assert run.manifest.status == "complete"
    said = "stopped early after 20 of 80 cases: *"
    result.stdout.fnmatch_lines([f"SKIPPED [[]{CASES - QUARTER}[]] *not asked, as the run stopped early: *"])
    result.stdout.fnmatch_lines(
        [f"*  - {said}", "saved *about 120 requests, 360 tokens, 0.0005 USD by stopping early"]
    )


def test_an_unchanged_candidate_stops_as_no_improvement_is_to_be_expected(half: Project) -> None:
    result = half.run("--early-stop")
    assert result.ret == 1
    taken, why = looked(half.stored())
    assert taken == 3, "no difference at all is half a standard error short at the third look, and not before"
    assert why == "the other cases are not expected to show that many improved"
    assert half.candidate.requests == 3 * QUARTER
    result.stdout.fnmatch_lines(
        [
            "verdict: UNDECIDED",
            "  - stopped early after 60 of 80 cases: *",
            "  next: to have the other 20 cases asked, *",
        ]
    )


def test_a_good_candidate_is_promoted_before_all_is_asked(half: Project) -> None:
    half.candidate._answers = "good"
    result = half.run("--early-stop")
    result.stdout.fnmatch_lines(["verdict: PROMOTE"])
    assert result.ret == 0
    run = half.stored()
    taken, why = looked(run)
    assert taken in (1, 2)
    assert why == "what there is to show is shown"
    assert half.candidate.requests == taken * QUARTER
    assert "failed" not in result.parseoutcomes()
    found = verdict_of(run).suites["many"]
    assert found.interval is not None
    assert found.interval[0] > 0, "the interval of the look that proved it"


def test_gate_and_show_say_the_same_from_the_folder(
    half: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    half.candidate._answers = "good"
    half.run("--early-stop")
    run = half.stored()
    assert run.path is not None
    stored = json.loads((run.path / "verdict.json").read_text(encoding="utf-8"))
    capsys.readouterr()
    assert main(["gate", str(run.path), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert {key: again[key] for key in stored} == stored
    assert "stopped early after" in (run.path / "index.html").read_text(encoding="utf-8")


def test_a_harmed_guard_stops_a_run_whose_target_wins(half: Project) -> None:
    half.suite("kept", suite_text("guard", name="kept"))
    half.candidate._answers = {**right_on(lambda _: True), **right_on(lambda _: False, "kept")}
    half.base._answers = {**right_on(lambda n: n % 2 == 0), **right_on(lambda _: True, "kept")}
    result = half.run("--early-stop")
    result.stdout.fnmatch_lines(
        ["verdict: HOLD*", "  - kept got worse by *", "  - stopped early after 40 of 160 cases: *"]
    )
    assert half.candidate.requests == 2 * QUARTER, "all suites go on together"


def test_required_cases_are_asked_first_and_decide(half: Project) -> None:
    required = (70, 71, 72, 73)
    half.suite("many", suite_text(required=required))
    half.candidate._answers = right_on(lambda n: n != 73)
    result = half.run("--early-stop")
    result.stdout.fnmatch_lines(["verdict: HOLD", "  - many: the required case 'c73' is not good"])
    run = half.stored()
    assert looked(run)[0] == 1
    asked = {row.case for row in run.results}
    assert {f"c{n}" for n in required} <= asked
    assert verdict_of(run).suites["many"].cases == QUARTER, "what is asked before its turn counts in its turn"


def test_a_gate_that_cases_never_asked_could_still_break_is_skipped_as_undecided(half: Project) -> None:
    half.suite("many", suite_text(extra="gates: [{metric: exact_match, at_least: 0.45}]\n"))
    result = half.run("--early-stop", "-rs")
    result.stdout.fnmatch_lines(["SKIPPED *not enough evidence: many: exact_match *not asked*"])
    assert looked(half.stored())[0] == 3


def test_a_gate_keeps_a_winner_going_until_no_case_could_break_it(half: Project) -> None:
    half.suite("many", suite_text(extra="gates: [{metric: exact_match, at_least: 0.9}]\n"))
    half.candidate._answers = "good"
    result = half.run("--early-stop")
    result.stdout.fnmatch_lines(["verdict: PROMOTE"])
    assert half.candidate.requests == CASES
    assert looked(half.stored()) == (4, "")


def test_trials_of_a_case_are_asked_together(half: Project) -> None:
    half.candidate._answers = "bad"
    half.run("--early-stop", "--trials", "3")
    run = half.stored()
    assert half.candidate.requests == 3 * QUARTER
    trials = {(row.case, row.trial) for row in run.results if row.role == "candidate"}
    assert len(trials) == 3 * len({case for case, _ in trials})


def test_a_run_cut_short_goes_on_at_the_same_look_and_pays_for_nothing_twice(
    project_with: Callable[[FaultyEndpoint], Project],
) -> None:
    answered = iter(range(1000))
    dying = FaultyEndpoint("good", faults=lambda _: 401 if next(answered) >= QUARTER // 2 else None)
    project = project_with(dying)
    (project.pytester.path / "suites" / "capitals.suite.yaml").unlink()
    project.suite("many", suite_text())
    project.base._answers = right_on(lambda n: n % 2 == 0)
    assert project.run("--early-stop").ret == 1
    cut = project.stored()
    assert (cut.manifest.status, looked(cut)[0]) == ("interrupted", None)
    dying._faults = lambda _: None
    result = project.run("--early-stop")
    result.stdout.fnmatch_lines(["resuming *", "verdict: PROMOTE"])
    run = project.stored()
    assert run.path == cut.path
    assert run.manifest.selected == cut.manifest.selected, "the same cases come first"
    taken, _ = looked(run)
    assert taken is not None
    assert dying.answered == taken * QUARTER


def test_with_and_without_are_different_runs(half: Project) -> None:
    half.run("--early-stop")
    first = half.stored()
    half.run()
    second = half.stored()
    assert first.manifest.plan != second.manifest.plan
    assert second.manifest.looks is None
    assert half.candidate.requests == CASES, "what was answered is kept"


def test_suites_are_not_dealt_out_to_processes(half: Project) -> None:
    result = half.run("--early-stop", "-n", "2")
    assert result.ret != 0
    said = result.stdout.str() + result.stderr.str()
    assert "--early-stop and --batch look at all suites together, and -n deals them out to processes" in said
    assert half.requests == 0


def test_it_can_be_a_setting(half: Project) -> None:
    half.candidate._answers = "bad"
    half.configure("early_stop = true")
    half.run()
    assert half.candidate.requests == QUARTER
