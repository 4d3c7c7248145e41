import numpy as np
import pytest

from harness.records import Score, ScorerSpec
from harness.verdict import case_score, change_of, compare, is_good, mean_score, scores_of
from tests.verdict.samples import answer, answers, failure, run_of, suite_of

STYLE = ScorerSpec(type="length", name="length", weight=3.0)
TWO = suite_of(1, scorers=[ScorerSpec(type="label", name="label"), STYLE])


def judged(label: float | None, length: float | None) -> dict[str, Score]:
    return {"label": Score(value=label, reason="a"), "length": Score(value=length, reason="b")}


def test_scorers_count_by_their_weight() -> None:
    assert case_score(TWO, answer(TWO, 0, scores=judged(1.0, 0.0))) == pytest.approx(0.25)


def test_an_unscored_scorer_is_left_out() -> None:
    assert case_score(TWO, answer(TWO, 0, scores=judged(None, 0.5))) == pytest.approx(0.5)


def test_nothing_scored_is_no_score() -> None:
    assert case_score(TWO, answer(TWO, 0, scores=judged(None, None))) is None
    assert case_score(TWO, failure(TWO, 0)) is None


def test_a_scorer_without_weight_decides_nothing() -> None:
    silent = suite_of(1, scorers=[ScorerSpec(type="label", name="label", weight=0.0)])
    assert case_score(silent, answer(silent, 0, value=1.0)) is None


def test_the_mean_score_leaves_out_failed_trials() -> None:
    suite = suite_of(1, trials=3)
    rows = [answer(suite, 0, value=1.0), answer(suite, 0, value=0.5, trial=1), failure(suite, 0, trial=2)]
    assert mean_score(suite, rows) == pytest.approx(0.75)
    assert mean_score(suite, []) is None


def test_rounding_does_not_miss_the_pass_mark() -> None:
    suite = suite_of(1)
    assert is_good(suite, 0.1 + 0.2 + 0.7 - 1e-12)
    assert not is_good(suite, 0.999)
    assert not is_good(suite, None)


@pytest.mark.parametrize(
    ("candidate", "reference", "change"),
    [
        (1.0, 1.0, "kept"),
        (1.0, 0.0, "improved"),
        (0.5, 1.0, "regressed"),
        (0.5, 0.0, "missed"),
        (None, 1.0, None),
        (1.0, None, None),
    ],
)
def test_change_compares_both_sides_with_the_pass_mark(
    candidate: float | None, reference: float | None, change: str | None
) -> None:
    assert change_of(suite_of(1), candidate=candidate, reference=reference) == change


def test_compare_pairs_every_selected_case_in_order() -> None:
    suite = suite_of(3)
    results = [*answers(suite, [1.0, 0.0, 1.0]), *answers(suite, [0.0, 1.0, 1.0], role="base")]
    run = run_of(suite, results=results, selected={"routing": ["case-2", "case-0"]})
    comparison = compare(run, reference="base")
    assert [(case.case, case.change) for case in comparison.cases] == [
        ("case-2", "kept"),
        ("case-0", "improved"),
    ]


def test_an_answer_that_never_came_counts_in_a_comparison_as_in_the_verdict() -> None:
    suite = suite_of(2)
    both = [failure(suite, 1), failure(suite, 1, role="base")]
    run = run_of(suite, results=[failure(suite, 0), answer(suite, 0, role="base"), *both])
    lost, dead = compare(run, reference="base").cases
    assert (lost.candidate, lost.reference, lost.change) == (0.0, 1.0, "regressed")
    assert (dead.candidate, dead.reference, dead.change) == (None, None, None)


def test_one_lost_trial_of_three_counts_as_one_wrong_answer() -> None:
    suite = suite_of(1, trials=3)
    good = [answer(suite, 0, role=role, trial=n) for role in ("candidate", "base") for n in (0, 1)]
    run = run_of(suite, results=[*good, failure(suite, 0, trial=2), answer(suite, 0, role="base", trial=2)])
    (case,) = compare(run, reference="base").cases
    assert case.candidate == pytest.approx(2 / 3)
    (scores,) = scores_of(run, reference="base")
    assert float(np.mean(scores.candidate)) == pytest.approx(2 / 3), "the verdict counts the same"


def test_any_two_roles_can_be_compared() -> None:
    suite = suite_of(1)
    rows = [*answers(suite, [1.0], role="promoted"), *answers(suite, [0.0], role="base")]
    comparison = compare(run_of(suite, results=rows), candidate="promoted", reference="base")
    assert (comparison.candidate, comparison.cases[0].change) == ("promoted", "improved")
