import pytest

from harness.records import Score, ScorerSpec
from harness.verdict import case_score, change_of, compare, is_good, mean_score
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


def test_an_answer_that_never_came_is_no_score_in_a_comparison() -> None:
    suite = suite_of(1)
    run = run_of(suite, results=[failure(suite, 0), *answers(suite, [1.0], role="base")])
    (case,) = compare(run, reference="base").cases
    assert (case.candidate, case.reference, case.change) == (None, 1.0, None)
