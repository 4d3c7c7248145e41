from dataclasses import replace

import numpy as np
import pytest

from harness.errors import UsageError
from harness.verdict import scores_of
from harness.verdict.scores import check_scores, pair_scores
from tests.verdict.samples import answer, answers, failure, run_of, scores, suite_of

NAN = float("nan")


def test_rows_are_the_selected_cases_in_order() -> None:
    suite = suite_of(3)
    results = [*answers(suite, [0.1, 0.2, 0.3]), *answers(suite, [0.4, 0.5, 0.6], role="base")]
    (made,) = scores_of(
        run_of(suite, results=results, selected={"routing": ["case-2", "case-0"]}), reference="base"
    )
    assert made.candidate.tolist() == [[0.3], [0.1]]
    assert made.reference.tolist() == [[0.6], [0.4]]


def test_a_suite_nobody_was_asked_is_absent() -> None:
    suite = suite_of(3)
    assert scores_of(run_of(suite, results=[], selected={}), reference="base") == []


def test_a_failed_answer_counts_against_the_side_that_failed() -> None:
    suite = suite_of(2)
    results = [
        failure(suite, 0),
        answer(suite, 1),
        answer(suite, 0, role="base"),
        failure(suite, 1, role="base"),
    ]
    run = run_of(suite, results=results)
    (made,) = scores_of(run, reference="base")
    assert made.candidate.tolist() == [[0.0], [1.0]]
    assert made.reference.tolist() == [[1.0], [0.0]]


def test_two_dead_endpoints_do_not_agree() -> None:
    suite = suite_of(1)
    run = run_of(suite, results=[failure(suite, 0), failure(suite, 0, role="base")])
    (made,) = scores_of(run, reference="base")
    assert len(pair_scores(made).candidate) == 0


def test_a_trial_lost_on_both_sides_counts_for_neither() -> None:
    suite = suite_of(1, trials=2)
    good = [answer(suite, 0), answer(suite, 0, role="base")]
    run = run_of(suite, results=[*good, failure(suite, 0, trial=1), failure(suite, 0, role="base", trial=1)])
    paired = pair_scores(scores_of(run, reference="base")[0])
    assert (paired.candidate.tolist(), paired.reference.tolist()) == ([1.0], [1.0])


def test_a_question_that_was_never_asked_is_no_failure() -> None:
    suite = suite_of(1)
    run = run_of(suite, results=[failure(suite, 0, kind="not_asked"), answer(suite, 0, role="base")])
    (made,) = scores_of(run, reference="base")
    assert np.isnan(made.candidate).all()


def test_an_unscored_answer_is_nan() -> None:
    suite = suite_of(1)
    run = run_of(suite, results=[*answers(suite, [None]), *answers(suite, [1.0], role="base")])
    (made,) = scores_of(run, reference="base")
    assert np.isnan(made.candidate).all()


def test_trials_are_columns() -> None:
    suite = suite_of(1, trials=2)
    results = [answer(suite, 0, value=0.25, trial=1), answer(suite, 0, role="base")]
    (made,) = scores_of(run_of(suite, results=results), reference="base")
    assert np.isnan(made.candidate[0, 0])
    assert made.candidate[0, 1] == 0.25


def test_families_come_from_the_metadata_and_a_case_without_one_stands_alone() -> None:
    plain = suite_of(4)
    metadata = [{"customer": "a"}, {}, {"customer": "a"}, {}]
    cases = tuple(replace(case, metadata=facts) for case, facts in zip(plain.cases, metadata, strict=True))
    suite = replace(plain, cases=cases, family="customer")
    (made,) = scores_of(run_of(suite, results=answers(suite, [1.0] * 4)), reference="base")
    assert made.families is not None
    assert made.families.tolist() == [0, 1, 0, 2]


def test_trials_are_averaged_and_unscored_ones_left_out() -> None:
    made = scores("s", "guard", candidate=np.array([[1.0, NAN], [NAN, NAN]]), reference=np.zeros((2, 2)))
    paired = pair_scores(made)
    assert paired.candidate.tolist() == [1.0]
    assert paired.left_out == 1


def test_only_single_yes_or_no_answers_are_binary() -> None:
    assert pair_scores(scores("s", "guard", candidate=[1, 0], reference=[0, 0])).binary
    assert not pair_scores(scores("s", "guard", candidate=[1, 0.5], reference=[0, 0])).binary
    twice = np.ones((2, 2))
    assert not pair_scores(scores("s", "guard", candidate=twice, reference=twice)).binary
    related = scores("s", "guard", candidate=[1, 0, 1], reference=[0, 0, 1], families=[1, 1, 2])
    assert not pair_scores(related).binary


def test_families_of_one_are_no_families() -> None:
    alone = scores("s", "guard", candidate=[1, 0], reference=[0, 0], families=[5, 9])
    assert pair_scores(alone).families is None


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (scores("s", "guard", candidate=[1.5], reference=[1]), "outside 0..1"),
        (scores("s", "guard", candidate=[1, 1], reference=[1]), "reference has shape"),
        (scores("s", "guard", candidate=[1], reference=[1], margin=-0.1), "margin"),
        (scores("s", "guard", candidate=[1], reference=[1], families=[1, 2]), "families has shape"),
        (replace(scores("s", "guard", candidate=[1], reference=[1]), weight=0.0), "weight"),
        (replace(scores("s", "guard", candidate=[1], reference=[1]), candidate=np.ones(1)), "one column"),
    ],
)
def test_impossible_arrays_are_refused(broken: object, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        check_scores([broken])  # type: ignore[list-item]
    assert str(caught.value).startswith("s: ")
    assert caught.value.remedy


def test_a_name_may_not_repeat() -> None:
    one = scores("s", "guard", candidate=[1], reference=[1])
    with pytest.raises(UsageError, match="suite names repeat: r, s, s ") as caught:
        check_scores([one, replace(one, name="r"), one])
    assert caught.value.remedy == "give each its own name"


@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_margins_from_nothing_to_everything_are_possible(margin: float) -> None:
    check_scores([scores("s", "guard", candidate=[0.0], reference=[1.0], margin=margin)])
