import json

import pytest
from conftest import SUITE, Project

from harness.cli import main
from harness.records import Completion

GUARD = SUITE.format(role="info")


def many(role: str = "target", cases: int = 12, extra: str = "") -> str:
    rows = "\n".join(f'  - {{id: c{n}, prompt: "{n}", expected: good}}' for n in range(cases))
    return f"name: many\nrole: {role}\n{extra}scorers: [{{type: exact_match}}]\ncases:\n{rows}\n"


@pytest.fixture
def good(project: Project) -> Project:
    """A candidate that is always right and a base that never is."""
    (project.pytester.path / "suites" / "capitals.suite.yaml").unlink()
    project.suite("many", many())
    project.candidate._answers = "good"
    return project


def test_better_candidate_is_promoted_and_exits_0(good: Project) -> None:
    result = good.run()
    result.stdout.fnmatch_lines(["verdict: PROMOTE", "page: *index.html"])
    assert result.ret == 0
    run = good.stored()
    assert run.path is not None
    assert run.manifest.status == "complete"
    assert {"manifest.json", "results.jsonl", "verdict.json", "index.html"} <= {
        path.name for path in run.path.iterdir()
    }
    assert json.loads((run.path / "verdict.json").read_text(encoding="utf-8"))["outcome"] == "promote"
    assert len(run.results) == 24


def test_equal_candidate_is_not_promoted_and_exits_1(good: Project) -> None:
    good.candidate._answers = "Berlin"
    result = good.run()
    assert result.ret == 1
    assert "verdict: PROMOTE" not in result.stdout.str()


def test_missed_improved_and_kept_have_their_own_letters(project: Project) -> None:
    result = project.run()
    result.stdout.fnmatch_lines(["suites/capitals.suite.yaml iimi*"])
    result.stdout.fnmatch_lines(["*3 improved, 1 missed*"])


def test_regressed_case_passes_and_says_so(project: Project) -> None:
    project.base._answers = {
        **dict.fromkeys(("Capital of France?", "Capital of Peru?"), "x"),
        "Capital of Chad?": "N'Djamena",
        "Capital of Japan?": "x",
    }
    result = project.run("-v")
    result.stdout.fnmatch_lines(["*::chad REGRESSED*"])


def test_required_case_that_is_not_good_fails_with_the_answer(project: Project) -> None:
    project.candidate._answers = "Lyon"
    result = project.run()
    result.stdout.fnmatch_lines(
        [
            "*the required case 'france' is not good*",
            "*candidate answered 'Lyon'*",
            "*exact_match: *",
        ]
    )
    assert result.ret == 1


def test_declared_gate_fails_with_its_figure(good: Project) -> None:
    good.suite("many", many(extra="gates: [{metric: completion_tokens, at_most: 0.5}]\n"))
    result = good.run()
    result.stdout.fnmatch_lines(["FAILED suites/many.suite.yaml::gate[[]completion_tokens<=0.5[]]*"])
    assert result.ret == 1


def test_selected_cases_are_all_that_is_asked_and_gates_skip(project: Project) -> None:
    project.suite("capitals", SUITE.format(role="target"))
    result = project.run("-k", "peru or gate", "-rs")
    assert project.requests == 2
    result.stdout.fnmatch_lines(["SKIPPED *not enough evidence*"])
    assert result.ret == 1, "a part of a suite promotes nothing"


def test_tags_select_with_k(project: Project) -> None:
    project.run("-k", "europe")
    assert project.candidate.requests == 1


def test_last_failed_asks_only_for_what_failed(project: Project) -> None:
    project.candidate._answers = "Lyon"
    project.run()
    before = project.candidate.requests
    project.run("--lf", "--no-cache", "-k", "not gate")
    assert project.candidate.requests == before + 1


def test_last_failed_finds_a_gate_again(project: Project) -> None:
    project.candidate._answers = "Berlin"
    project.run("--deselect", "suites/capitals.suite.yaml::france")
    result = project.run("--lf", "--collect-only", "-q")
    result.stdout.no_fnmatch_line("*::peru")
    result.stdout.fnmatch_lines(["suites/capitals.suite.yaml::gate[[]exact_match>=0.5[]]"])


def test_gates_without_their_cases_never_exit_0(project: Project) -> None:
    result = project.run("-k", "gate")
    result.stdout.fnmatch_lines(["harness: only gates were selected*select the cases too*"])
    assert result.ret == 1
    assert project.requests == 0
    assert not (project.pytester.path / "reports").exists()


def test_suites_that_are_deselected_leave_other_tests_alone(project: Project) -> None:
    project.pytester.makepyfile(test_other="def test_it(): pass")
    result = project.pytester.runpytest_inprocess(".", "-k", "test_it")
    result.assert_outcomes(passed=1, deselected=6)
    assert result.ret == 0


def test_suite_with_a_need_is_asked_of_capable_models(project: Project) -> None:
    project.suite("capitals", SUITE.format(role="target").replace("role:", "needs: capable-model\nrole:"))
    project.run()
    assert project.requests == 8


def test_trials_are_repeats_that_the_cache_keeps_apart(good: Project) -> None:
    good.run("--trials", "3")
    run = good.stored()
    assert len(run.results) == 12 * 2 * 3
    assert good.candidate.requests == 36


def test_junit_names_gates_and_holds_no_answers(good: Project) -> None:
    good.run("--junitxml=junit.xml")
    text = (good.pytester.path / "junit.xml").read_text(encoding="utf-8")
    assert "gate[target]" in text
    assert "harness_rows" not in text


def test_promoted_model_is_the_reference_when_there_is_one(good: Project) -> None:
    text = (good.pytester.path / "harness.toml").read_text(encoding="utf-8")
    live = text.replace('base = "plain"', 'base = "plain"\npromoted = "live"')
    live += f'[models.live]\nmodel = "acme/live"\nbase_url = "{good.candidate.base_url}"\n'
    (good.pytester.path / "harness.toml").write_text(live, encoding="utf-8")
    result = good.run()
    assert result.ret == 1, "as good as the model in production is not better than it"
    run = good.stored()
    assert {row.role for row in run.results} == {"candidate", "base", "promoted"}


def test_page_and_rows_know_nothing_of_the_key(good: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-verysecret0123456789"
    monkeypatch.setenv("ACME_KEY", secret)
    text = (good.pytester.path / "harness.toml").read_text(encoding="utf-8")
    (good.pytester.path / "harness.toml").write_text(
        text.replace("max_retries = 1", 'max_retries = 1\napi_key_env = "ACME_KEY"'), encoding="utf-8"
    )
    result = good.run()
    assert set(good.candidate.keys) == {secret}
    assert secret not in result.stdout.str()
    for path in good.pytester.path.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_missing_key_names_the_variable(good: Project) -> None:
    text = (good.pytester.path / "harness.toml").read_text(encoding="utf-8")
    (good.pytester.path / "harness.toml").write_text(
        text.replace("max_retries = 1", 'api_key_env = "ACME_KEY_UNSET"'), encoding="utf-8"
    )
    result = good.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "ACME_KEY_UNSET is not set" in result.stdout.str() + result.stderr.str()


def test_rows_hold_the_answers_as_they_came(project: Project) -> None:
    project.run()
    answers = {
        (row.case, row.role): row.outcome.text
        for row in project.stored().results
        if isinstance(row.outcome, Completion)
    }
    assert answers["peru", "candidate"] == "Lima"
    assert answers["peru", "base"] == "Berlin"


def test_one_lost_trial_is_told_alike_by_terminal_verdict_page_and_gate(good: Project) -> None:
    lost = iter([400])
    good.candidate._faults = lambda body: next(lost, None) if "7" in str(body["messages"]) else None
    result = good.run("--trials", "3")
    assert result.ret == 1
    run = good.stored()
    assert run.path is not None
    said = "1 answer of candidate in many never came, and counts as 0"
    result.stdout.fnmatch_lines(
        ["many * 12 *", "verdict: UNDECIDED", f"  - {said}", "candidate *35 answered*1 failed*"]
    )
    assert said in json.loads((run.path / "verdict.json").read_text(encoding="utf-8"))["reasons"]
    assert said in (run.path / "index.html").read_text(encoding="utf-8")
    assert main(["gate", str(run.path)]) == 1
    good.run("--trials", "3")
    assert good.stored().path != run.path
    assert good.candidate.answered == 36, "only the lost one is asked again"
    assert main(["gate", str(good.stored().path)]) == 0
