import numpy as np
import pytest

from harness.records import Case, Completion, Failure, Result, Score, ScorerSpec, Suite
from harness.verdict import marks_of, wilson
from harness.verdict.marks import mark_of, mean_interval
from harness.verdict.pairedtests import Floats, Ints
from tests.verdict.samples import suite_of

SUITE = Suite(
    name="sums",
    cases=tuple(Case(id=f"c{at}", messages=(), metadata={"who": f"w{at // 2}"}) for at in range(4)),
    scorers=(ScorerSpec(type="exact_match", name="exact_match"),),
)


def row(case: str, value: float | None, trial: int = 0) -> Result:
    score = Score(value=value, reason="said so")
    return Result(
        suite="sums",
        case=case,
        role="candidate",
        model="m",
        trial=trial,
        digest="",
        outcome=Completion(text="x"),
        scores={"exact_match": score},
    )


def test_trials_are_averaged_before_cases() -> None:
    (mark,) = marks_of([row("c0", 1.0), row("c0", 1.0, 1), row("c0", 0.0, 2), row("c1", 0.0)], [SUITE])
    assert mark.mean == pytest.approx((2 / 3 + 0) / 2)
    assert (mark.cases, mark.unscored) == (2, 2)


def test_what_was_not_answered_or_not_scored_is_no_number() -> None:
    lost = Result(
        suite="sums",
        case="c1",
        role="candidate",
        model="m",
        trial=0,
        digest="",
        outcome=Failure(kind="timeout", message="late"),
    )
    (mark,) = marks_of([row("c0", 1.0), lost, row("c2", None)], [SUITE])
    assert (mark.mean, mark.cases, mark.unscored) == (1.0, 1, 3)


def test_a_suite_without_a_score_has_no_mean_and_no_interval() -> None:
    (mark,) = marks_of([], [SUITE])
    assert (mark.mean, mark.low, mark.high, mark.cases, mark.unscored) == (None, None, None, 0, 4)


def test_trials_of_any_number_count() -> None:
    (mark,) = marks_of([row("c0", 1.0, 7), row("c0", 0.0, 8)], [SUITE])
    assert mark.mean == 0.5


def test_yes_and_no_have_wilsons_interval() -> None:
    values = np.array([1.0] * 17 + [0.0] * 3)
    assert mean_interval(values) == wilson(17, 20, confidence=0.9)


def test_cases_of_one_family_know_less_together() -> None:
    values, families = np.repeat([1.0, 0.0, 1.0, 1.0] * 5, 5), np.repeat(np.arange(20), 5)
    alone, together = mean_interval(values), mean_interval(values, families=families)
    assert together[0] < alone[0]
    assert together[1] > alone[1]


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_cases_that_all_score_the_same_leave_doubt(value: float) -> None:
    low, high = mean_interval(np.full(12, value))
    assert 0 <= low <= value <= high <= 1
    assert high - low > 0.1


def test_equal_cases_of_some_families_are_as_many_answers_as_families() -> None:
    values, families = np.full(12, 0.5), np.repeat(np.arange(4), 3)
    assert mean_interval(values, families=families) == wilson(2, 4, confidence=0.9)


def test_one_case_says_nearly_nothing() -> None:
    low, high = mean_interval(np.array([0.6]))
    assert high - low > 0.7


def graded(random: np.random.Generator) -> tuple[Floats, Ints | None]:
    return random.binomial(3, random.beta(4, 1, size=60)) / 3, None


def in_families(random: np.random.Generator) -> tuple[Floats, Ints | None]:
    rates = random.beta(4, 1, size=30)
    return (random.random(90) < np.repeat(rates, 3)).astype(np.float64), np.repeat(np.arange(30), 3)


@pytest.mark.parametrize("draw", [graded, in_families])
def test_nine_intervals_in_ten_hold_the_true_mean(draw: object) -> None:
    random, held = np.random.default_rng(7), 0
    for _ in range(600):
        values, families = draw(random)  # type: ignore[operator]
        low, high = mean_interval(values, families=families)
        held += low <= 0.8 <= high
    assert 0.87 <= held / 600 <= 0.94


def test_a_mark_has_both_ends_of_its_interval() -> None:
    suite = suite_of(20)
    mark = mark_of(suite, {f"case-{case}": float(case < 17) for case in range(19)})
    assert (mark.low, mark.high) == wilson(17, 19, confidence=0.9)
    assert (mark.mean, mark.cases, mark.unscored) == (17 / 19, 19, 1)
