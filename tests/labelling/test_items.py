import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.evals import open_run
from harness.labelling import Item, items_of, judged_suites, sheet_of
from harness.records import Role, Run, ScorerSpec
from tests.judged_runs import PAIRWISE, RUBRIC, erring, judged_suite, store_judged, text_of, truth_of

EXACT = ScorerSpec(type="exact_match", name="exact_match")


def judged_run(
    tmp_path: Path, *, cases: int = 40, scorers: tuple[ScorerSpec, ...] = (RUBRIC,), **how: object
) -> Run:
    truth = truth_of(cases, candidate=0.7, base=0.4)
    verdicts = erring(truth, false_good={"candidate": 0.2, "base": 0.1})
    return open_run(store_judged(tmp_path, verdicts, suite=judged_suite(cases, scorers=scorers), **how))  # type: ignore[arg-type]


def test_the_same_cases_are_asked_of_both_models(tmp_path: Path) -> None:
    sheet = sheet_of(judged_run(tmp_path), suite=None, cases=10, seed=0)
    by_role: dict[Role, set[str]] = {"candidate": set(), "base": set()}
    for item in sheet:
        ((role, _),) = item.cells
        by_role[role].add(item.case)
    assert len(sheet) == 20
    assert by_role["candidate"] == by_role["base"]


def test_nothing_an_annotator_sees_tells_the_model_or_the_judges_score(tmp_path: Path) -> None:
    for item in sheet_of(judged_run(tmp_path), suite=None, cases=40, seed=0):
        shown = " ".join((item.id, item.prompt, item.expected, *item.answers, item.form.choices)).casefold()
        assert not any(word in shown for word in ("candidate", "base", "ft:m", "judge", "as the judge says"))


def test_the_order_mixes_the_models(tmp_path: Path) -> None:
    roles = [item.cells[0][0] for item in sheet_of(judged_run(tmp_path), suite=None, cases=20, seed=3)]
    changes = sum(first != second for first, second in itertools.pairwise(roles))
    assert 10 <= changes <= 30
    assert roles != sorted(roles)


def test_the_seed_decides_the_sheet(tmp_path: Path) -> None:
    run = judged_run(tmp_path)
    sheets = [[item.id for item in sheet_of(run, suite=None, cases=8, seed=seed)] for seed in (1, 1, 2)]
    assert sheets[0] == sheets[1] != sheets[2]


def test_what_the_judge_seldom_finds_is_drawn_more_often_than_it_occurs(tmp_path: Path) -> None:
    """One answer in ten is bad in the judge's eyes; of those drawn, two in ten."""
    truth = truth_of(300, candidate=0.9, base=0.9)
    run = open_run(store_judged(tmp_path, truth, suite=judged_suite(300)))
    items = sheet_of(run, suite=None, cases=50, seed=0)
    good = sum(truth[item.case, item.cells[0][0]] for item in items) / len(items)
    assert good <= 0.8 < sum(truth.values()) / len(truth)


def test_an_id_stands_for_the_question_the_answer_and_the_judge(tmp_path: Path) -> None:
    def ids(run: Run) -> set[str]:
        return {item.id for item in items_of(run, "manners")}

    first = ids(judged_run(tmp_path / "a"))
    again = ids(judged_run(tmp_path / "b", name="another-run"))
    other_judge = ids(judged_run(tmp_path / "c", judge="judge-2"))
    other_answers = ids(judged_run(tmp_path / "d", say=lambda case, role: text_of(case, role) + "!"))
    other_criterion = replace(
        RUBRIC, settings={"criteria": [{"name": "kindness", "levels": {0: "a", 1: "b"}}]}
    )
    other_question = ids(judged_run(tmp_path / "e", scorers=(other_criterion,)))
    assert first == again
    assert not first & other_judge
    assert not first & other_answers
    assert not first & other_question


def test_the_same_answer_by_both_models_is_asked_once_and_counts_for_both(tmp_path: Path) -> None:
    run = judged_run(tmp_path, say=lambda case, role: "The same words.")
    sheet = sheet_of(run, suite=None, cases=5, seed=0)
    assert len(sheet) == 5
    (first, second) = sheet[0].labels("1", value=1.0, annotator="ann")
    assert {first.role, second.role} == {"candidate", "base"}
    assert first.value == second.value == 1.0


def test_each_criterion_is_a_row_with_its_levels_and_weight(tmp_path: Path) -> None:
    criteria = [
        {"name": "humour", "levels": {1: "flat", 3: "a smile", 5: "laugh-out-loud"}, "weight": 2},
        {"name": "tact", "levels": {0: "rude", 1: "kind"}},
    ]
    run = judged_run(
        tmp_path, scorers=(ScorerSpec(type="rubric", name="r", settings={"criteria": criteria}),)
    )
    items = items_of(run, "manners")
    humour, tact = items[0].form, next(item.form for item in items if item.form.question == "tact")
    assert dict(humour.values) == {"1": 0.0, "2": 0.25, "3": 0.5, "4": 0.75, "5": 1.0}
    assert humour.choices == "1 = flat; 2; 3 = a smile; 4; 5 = laugh-out-loud; cannot say"
    assert (humour.weight, tact.weight, dict(tact.values)) == (2.0, 1.0, {"0": 0.0, "1": 1.0})
    rows = sheet_of(run, suite=None, cases=3, seed=0)
    assert [item.form.question for item in rows] == ["humour", "tact"] * 6


def pair(tmp_path: Path) -> list[Item]:
    return items_of(judged_run(tmp_path, scorers=(PAIRWISE,)), "manners")


def test_a_comparison_shows_both_answers_in_an_order_that_says_nothing(tmp_path: Path) -> None:
    items = pair(tmp_path)
    assert all(len(item.answers) == 2 for item in items)
    first = [item.cells[0][0] for item in items]
    assert 8 <= first.count("candidate") <= 32


def test_a_comparisons_label_is_the_first_answers_and_the_opposite_for_the_second(tmp_path: Path) -> None:
    item = pair(tmp_path)[0]
    labels = item.labels("A", value=item.form.values["A"], annotator="ann")
    assert [(label.role, label.value) for label in labels] == [
        (item.cells[0][0], 1.0),
        (item.cells[1][0], 0.0),
    ]
    assert [label.value for label in item.labels("cannot say", value=None, annotator="a")] == [None, None]


def test_answers_that_are_the_same_are_not_compared(tmp_path: Path) -> None:
    run = judged_run(
        tmp_path, scorers=(PAIRWISE,), say=lambda case, role: "same" if case != "c3" else text_of(case, role)
    )
    assert [item.case for item in items_of(run, "manners")] == ["c3"]


def test_a_suite_without_a_judge_is_nothing_to_label(tmp_path: Path) -> None:
    run = judged_run(tmp_path, scorers=(EXACT,))
    assert judged_suites(run) == {}
    with pytest.raises(UsageError, match="has a judge"):
        sheet_of(run, suite=None, cases=5, seed=0)


def test_a_suite_is_named_with_the_nearest_when_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'manners'"):
        sheet_of(judged_run(tmp_path), suite="maners", cases=5, seed=0)


def test_a_judge_that_scored_nothing_leaves_nothing_to_check(tmp_path: Path) -> None:
    run = judged_run(tmp_path)
    rows = tuple(
        replace(row, scores={"manners": replace(row.scores["manners"], value=None)}) for row in run.results
    )
    with pytest.raises(UsageError, match="no case for both models"):
        sheet_of(replace(run, results=rows), suite=None, cases=5, seed=0)


def test_a_role_of_its_own_prompt_is_not_shown(tmp_path: Path) -> None:
    """`prompts` differ by role: shown, they would tell who answers."""
    run = judged_run(tmp_path)
    suite = replace(run.manifest.suites[0], prompts={"base": "long", "candidate": ""}, system="hidden too")
    run = replace(run, manifest=replace(run.manifest, suites=(suite,)))
    assert items_of(run, "manners")[0].prompt == "Question 0?"
    shared = replace(suite, prompts={}, system="Be kind.")
    run = replace(run, manifest=replace(run.manifest, suites=(shared,)))
    assert "Be kind." in items_of(run, "manners")[0].prompt
