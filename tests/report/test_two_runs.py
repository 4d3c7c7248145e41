from collections.abc import Mapping
from dataclasses import replace

import pytest

from harness.records import (
    Case,
    Completion,
    Failure,
    Looks,
    Manifest,
    ModelFacts,
    Result,
    Run,
    Sampling,
    Score,
    ScorerSpec,
    Suite,
)
from harness.report.two_runs import RunComparison, compare_runs
from harness.report.two_runs_text import MOST_IDS, comparison_lines

EXACT = ScorerSpec(type="exact_match", name="exact_match")
RUBRIC = ScorerSpec(
    type="rubric",
    name="rubric",
    settings={"criteria": [{"name": "tone", "levels": {"1": "rude", "5": "kind"}}]},
)
PAIRWISE = ScorerSpec(type="pairwise", name="pairwise", settings={})
NUMBERS = Suite(
    name="numbers",
    cases=tuple(
        Case(id=f"n{number}", messages=({"role": "user", "content": str(number)},), expected=str(number))
        for number in range(12)
    ),
    scorers=(EXACT,),
    digest="d1",
)


def run(
    name: str,
    *suites: Suite,
    wrong: Mapping[str, tuple[str, ...]] | None = None,
    changes: Mapping[str, object] | None = None,
) -> Run:
    """A run whose candidate is right about everything but the cases named in `wrong`, by suite."""
    models = {
        "candidate": ModelFacts(model=f"ft:{name}", endpoint="e"),
        "base": ModelFacts(model="m", endpoint="e"),
    }
    manifest = Manifest(
        schema=1,
        id=name,
        status="complete",
        created="2026-11-23T10:00:00Z",
        suites=suites,
        models=models,
        selected={suite.name: tuple(case.id for case in suite.cases) for suite in suites},
        plan="p",
    )
    rows = [
        Result(
            suite=suite.name,
            case=case.id,
            role=role,
            model=role,
            trial=trial,
            digest="",
            outcome=Completion(text="?"),
            scores={
                spec.name: Score(
                    value=float(role == "candidate" and case.id not in (wrong or {}).get(suite.name, ())),
                    reason="told",
                )
                for spec in suite.scorers
            },
        )
        for suite in suites
        for case in suite.cases
        for role in ("candidate", "base")
        for trial in range(suite.trials)
    ]
    return Run(manifest=replace(manifest, **(changes or {})), results=tuple(rows))  # type: ignore[arg-type]


def changed(comparison: RunComparison, change: str) -> list[str]:
    return [case.case for case in comparison.cases if case.change == change]


# --- what is compared ------------------------------------------------------------------------------


def test_candidates_are_paired_and_bases_are_left_out() -> None:
    found = compare_runs(
        run("a", NUMBERS, wrong={"numbers": ("n1", "n2", "n3")}),
        run("b", NUMBERS, wrong={"numbers": ("n3", "n4")}),
    )
    assert changed(found, "improved") == ["n1", "n2"]
    assert changed(found, "regressed") == ["n4"]
    assert changed(found, "missed") == ["n3"]
    numbers = found.suites["numbers"]
    assert (numbers.cases, numbers.reference, numbers.candidate) == (12, 9 / 12, 10 / 12)
    assert numbers.difference == pytest.approx(1 / 12)
    assert numbers.interval is not None
    assert numbers.interval[0] < 0 < numbers.interval[1]


def test_swapped_runs_give_the_difference_with_the_other_sign() -> None:
    one, other = run("a", NUMBERS, wrong={"numbers": ("n1", "n2", "n3")}), run("b", NUMBERS)
    there, back = compare_runs(one, other), compare_runs(other, one)
    assert there.suites["numbers"].difference == pytest.approx(0.25)
    assert back.suites["numbers"].difference == pytest.approx(-0.25)
    assert changed(there, "improved") == changed(back, "regressed") == ["n1", "n2", "n3"]


def test_a_run_against_itself_changes_nothing() -> None:
    one = run("a", NUMBERS, wrong={"numbers": ("n1",)})
    found = compare_runs(one, one)
    assert (changed(found, "improved"), changed(found, "regressed"), found.set_up) == ([], [], ())
    assert found.suites["numbers"].difference == 0.0
    assert found.refused == {}


def test_edited_case_is_another_case_and_a_renamed_one_is_not() -> None:
    first, second, *rest = NUMBERS.cases
    edited = replace(first, messages=({"role": "user", "content": "zero, please"},))
    renamed = replace(second, id="one")
    later = replace(NUMBERS, cases=(edited, renamed, *rest), digest="d2")
    found = compare_runs(run("a", NUMBERS, wrong={"numbers": ("n1",)}), run("b", later))
    assert [case.case for case in found.cases] == ["one", *(case.id for case in rest)]
    assert changed(found, "improved") == ["one"]
    assert found.only == {"numbers": (1, 1)}
    assert found.set_up == ("suite numbers: digest d1 -> d2: its cases are not all the same",)


def test_cases_that_were_not_selected_are_left_out() -> None:
    part = run("b", NUMBERS, changes={"selected": {"numbers": ("n0", "n1", "n2")}})
    found = compare_runs(run("a", NUMBERS), part)
    assert [case.case for case in found.cases] == ["n0", "n1", "n2"]
    assert found.only == {"numbers": (9, 0)}


def test_equal_cases_are_paired_in_their_order() -> None:
    twins = replace(
        NUMBERS, cases=(NUMBERS.cases[0], replace(NUMBERS.cases[0], id="twin"), *NUMBERS.cases[1:])
    )
    found = compare_runs(run("a", twins, wrong={"numbers": ("twin",)}), run("b", twins))
    assert changed(found, "improved") == ["twin"]
    assert len(found.cases) == 13


def test_answer_that_never_came_counts_against_the_side_that_failed() -> None:
    later = run("b", NUMBERS)
    failed = Failure(kind="server", message="500")
    rows = tuple(
        replace(row, outcome=failed, scores={}) if (row.case, row.role) == ("n0", "candidate") else row
        for row in later.results
    )
    found = compare_runs(run("a", NUMBERS), replace(later, results=rows))
    assert changed(found, "regressed") == ["n0"]


def test_runs_with_other_trials_are_compared_by_their_means() -> None:
    thrice = replace(NUMBERS, trials=3)
    found = compare_runs(run("a", NUMBERS, wrong={"numbers": ("n5",)}), run("b", thrice))
    assert changed(found, "improved") == ["n5"]
    assert found.suites["numbers"].cases == 12
    assert found.set_up == ("suite numbers: trials 1 -> 3",)


# --- what is refused -------------------------------------------------------------------------------


def test_suite_of_one_run_alone_is_refused() -> None:
    other = replace(NUMBERS, name="other")
    found = compare_runs(run("a", NUMBERS, other), run("b", NUMBERS))
    assert found.refused == {"other": "only in a"}
    assert list(found.suites) == ["numbers"]


@pytest.mark.parametrize(
    ("later", "why"),
    [
        (replace(NUMBERS, scorers=(replace(EXACT, settings={"case": False}),)), "its scorers are others"),
        (replace(NUMBERS, system="Be brief."), "its system prompt is another"),
        (replace(NUMBERS, cases=NUMBERS.cases[:2]), ""),
        (
            replace(NUMBERS, cases=(Case(id="x", messages=({"role": "user", "content": "x"},)),)),
            "no case is the same in both runs",
        ),
    ],
)
def test_suite_is_refused_where_no_case_is_shared(later: Suite, why: str) -> None:
    found = compare_runs(run("a", NUMBERS), run("b", later))
    assert found.refused.get("numbers", "").startswith(why)
    assert ("numbers" in found.suites) == (why == "")


JUDGED = replace(NUMBERS, scorers=(RUBRIC,))
JUDGING = {"numbers: rubric": "pin"}


def judged_run(name: str, judge: str, pin: str = "pin") -> Run:
    made = run(name, JUDGED, changes={"judging": {"numbers: rubric": pin}})
    models = {**made.manifest.models, "judge": ModelFacts(model=judge, endpoint="e")}
    return replace(made, manifest=replace(made.manifest, models=models))


@pytest.mark.parametrize(
    "later", [judged_run("b", "another"), judged_run("b", "judge", pin="asked otherwise")]
)
def test_scores_of_two_judges_are_not_compared(later: Run) -> None:
    found = compare_runs(judged_run("a", "judge"), later)
    assert found.refused == {"numbers": "its judge is another, or is asked otherwise"}
    assert any("scores of the two runs cannot be compared" in one for one in found.set_up)


def test_scores_of_one_judge_are_compared() -> None:
    assert compare_runs(judged_run("a", "judge"), judged_run("b", "judge")).refused == {}


def test_preferences_over_another_reference_are_not_compared() -> None:
    suite = replace(NUMBERS, scorers=(PAIRWISE,))
    other = {
        "base": ModelFacts(model="another", endpoint="e"),
        "candidate": ModelFacts(model="c", endpoint="e"),
    }
    found = compare_runs(run("a", suite), run("b", suite, changes={"models": other}))
    assert found.refused == {"numbers": "its answers were compared with another model's"}
    assert compare_runs(run("a", suite), run("b", suite)).refused == {}


# --- what differs in the set-up --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (
            replace(NUMBERS, sampling=Sampling(temperature=0.7)),
            "suite numbers: sampling temperature 0.0 -> 0.7",
        ),
        (replace(NUMBERS, margin=0.1), "suite numbers: margin None -> 0.1"),
        (replace(NUMBERS, family="customer"), "suite numbers: changed: family"),
    ],
)
def test_settings_that_differ_are_told(later: Suite, words: str) -> None:
    assert words in compare_runs(run("a", NUMBERS), run("b", later)).set_up


def test_data_and_versions_that_differ_are_told() -> None:
    one = run("a", NUMBERS, changes={"data": {"train": "a" * 64}, "versions": {"finetune-harness": "0.1"}})
    other = run("b", NUMBERS, changes={"data": {"train": "b" * 64}, "versions": {"finetune-harness": "0.2"}})
    assert compare_runs(one, other).set_up == (
        "train data: aaaaaaaaaaaa -> bbbbbbbbbbbb",
        "the harness: 0.1 -> 0.2",
    )


# --- in the terminal -------------------------------------------------------------------------------


def test_long_lists_of_cases_are_cut_and_json_is_named() -> None:
    many = tuple(
        Case(id=f"c{number}", messages=({"role": "user", "content": str(number)},))
        for number in range(MOST_IDS + 5)
    )
    suite = replace(NUMBERS, cases=many)
    one, other = run("a", suite, wrong={"numbers": tuple(case.id for case in many)}), run("b", suite)
    (line,) = (
        line for line in comparison_lines(one, other, compare_runs(one, other)) if line[:8] == "improved"
    )
    assert line.startswith(f"improved  numbers: {len(many)} (c0, c1, ")
    assert line.endswith(f"c{MOST_IDS - 1}, and 5 more: --json)")


def test_what_was_left_out_and_an_unfinished_run_are_told() -> None:
    part = run("b", NUMBERS, changes={"selected": {"numbers": ("n0", "n1")}, "status": "interrupted"})
    one = run("a", NUMBERS)
    lines = list(comparison_lines(one, part, compare_runs(one, part)))
    assert "left out  numbers: cases only in A 10, only in B 0" in lines
    assert lines[1] == "B  b  ft:b (e), interrupted"


def test_of_a_run_that_stopped_early_only_the_cases_that_count_are_compared() -> None:
    whole, stopped = run("a", NUMBERS), run("b", NUMBERS)
    looks = Looks(seed="p", cases={"numbers": (3, 6, 9, 12)}, taken=2, why="it is enough")
    stopped = replace(stopped, manifest=replace(stopped.manifest, looks=looks))
    for compared in (compare_runs(whole, stopped), compare_runs(stopped, whole)):
        assert len(compared.cases) == 6
        assert compared.suites["numbers"].cases == 6
    assert compare_runs(whole, stopped).only == {"numbers": (6, 0)}
