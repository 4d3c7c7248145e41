from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from harness.records import (
    Case,
    Completion,
    Failure,
    Manifest,
    ModelFacts,
    Result,
    Role,
    Run,
    Score,
    ScorerSpec,
    Suite,
)
from harness.verdict import Leaning, describe_leaning, leanings_of

Answers = Sequence[tuple[float | None, int]]
"""Each case's value and the length of the answer."""


def run_of(
    candidate: Answers, reference: Answers, *, places: Sequence[float | None] = (), judged: bool = True
) -> Run:
    """A run of one suite with one judged scorer."""
    cases = tuple(Case(id=f"c{number}", messages=()) for number in range(len(candidate)))
    suite = Suite(name="talk", cases=cases, scorers=(ScorerSpec(type="pairwise", name="better"),))
    manifest = Manifest(
        schema=1,
        id="r",
        status="complete",
        created="2026-01-01T00:00:00+00:00",
        suites=(suite,),
        models={
            "base": ModelFacts(model="b", endpoint="e"),
            "candidate": ModelFacts(model="c", endpoint="e"),
        },
        selected={"talk": tuple(case.id for case in cases)},
        plan="p",
        judging={"talk: better": "digest"} if judged else {},
    )
    sides: tuple[tuple[Role, Answers], ...] = (("candidate", candidate), ("base", reference))
    rows = [
        row(role, number, value, length, place=places[number] if places else None)
        for role, answers in sides
        for number, (value, length) in enumerate(answers)
    ]
    return Run(manifest=manifest, results=tuple(rows))


def row(role: Role, number: int, value: float | None, length: int, *, place: float | None) -> Result:
    measures = {} if place is None else {"first_position_rate": place}
    return Result(
        suite="talk",
        case=f"c{number}",
        role=role,
        model="m",
        trial=0,
        digest="d",
        outcome=Completion(text=" " + "x" * length),
        scores={"better": Score(value=value, reason="said", measures=measures)},
    )


def leaning(run: Run) -> Leaning:
    (only,) = leanings_of(run, reference="base")
    return only


def test_judge_that_always_names_the_first_has_a_bias_of_1() -> None:
    ties = [(0.5, 10)] * 4
    found = leaning(run_of(ties, ties, places=[1.0] * 4))
    assert (found.first_position, found.pairs) == (1.0, 4)
    assert list(describe_leaning(found)) == [
        "better: the judge chose the answer shown first in 100 % of its choices on 4 pairs (50 % without a bias)"
    ]


def test_pairs_without_a_choice_say_nothing_of_a_bias() -> None:
    ties = [(0.5, 10)] * 3
    found = leaning(run_of(ties, ties, places=[0.5, None, 1.0]))
    assert (found.first_position, found.pairs) == (0.75, 2)


def test_slope_is_that_of_least_squares() -> None:
    chance = np.random.default_rng(1)
    lengths = chance.integers(0, 500, size=40)
    values = np.clip(0.5 + lengths / 2000 + chance.normal(0, 0.1, size=40), 0, 1)
    run = run_of(
        [(float(value), int(length)) for value, length in zip(values, lengths, strict=True)],
        [(1 - float(value), 50) for value in values],
    )
    found = leaning(run)
    wanted = stats.linregress((lengths - 50) / 100, 2 * values - 1)
    reach = stats.t.ppf(0.95, 38) * wanted.stderr
    assert found.length_slope == pytest.approx(wanted.slope)
    assert found.length_interval == pytest.approx((wanted.slope - reach, wanted.slope + reach))
    assert found.cases == 40
    assert found.first_position is None
    (sentence,) = describe_leaning(found)
    assert sentence.startswith("better: 100 more characters go with +")
    assert sentence.endswith("40 cases): more than chance")


def test_slope_that_chance_explains_says_so() -> None:
    run = run_of([(number % 2, 40 * (number // 2)) for number in range(30)], [(0.5, 50)] * 30)
    (sentence,) = describe_leaning(leaning(run))
    assert sentence.endswith("30 cases): no more than chance")


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    chance = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        lengths = chance.integers(0, 400, size=30)
        leads = np.clip(0.05 * (lengths - 200) / 100 + chance.normal(0, 0.2, size=30), -1, 1)
        run = run_of(
            [((1 + float(lead)) / 2, int(length)) for lead, length in zip(leads, lengths, strict=True)],
            [((1 - float(lead)) / 2, 200) for lead in leads],
        )
        low, high = leaning(run).length_interval or (0, 0)
        covered += low <= 0.05 <= high
    assert 0.84 <= covered / 200 <= 0.95


@pytest.mark.parametrize(
    ("candidate", "reference"),
    [
        ([(1.0, 30 * number) for number in range(9)], [(0.0, 10)] * 9),
        ([(1.0, 30)] * 20, [(0.0, 10)] * 20),
        ([(None, 30 * number) for number in range(20)], [(0.0, 10)] * 20),
        ([], []),
    ],
)
def test_few_cases_equal_lengths_and_unscored_answers_give_no_slope(
    candidate: Answers, reference: Answers
) -> None:
    assert leanings_of(run_of(candidate, reference), reference="base") == ()


def test_scorer_that_asks_no_judge_does_not_lean() -> None:
    longer = [(1.0, 30 * number) for number in range(20)]
    assert leanings_of(run_of(longer, longer, judged=False), reference="base") == ()


def test_lost_answer_is_left_out() -> None:
    run = run_of([(number % 2, 30 * number) for number in range(12)], [(0.5, 10)] * 12)
    lost = Failure(kind="timeout", message="gave up")
    rows = tuple(
        Result(suite=item.suite, case=item.case, role=item.role, model="m", trial=0, digest="d", outcome=lost)
        if item.case == "c3" and item.role == "base"
        else item
        for item in run.results
    )
    assert leaning(Run(manifest=run.manifest, results=rows)).cases == 11


def test_trials_of_a_case_are_averaged_first() -> None:
    once = run_of([(number / 20, 30 * number) for number in range(12)], [(0.5, 10)] * 12)
    twice = Run(manifest=once.manifest, results=(*once.results, *once.results))
    assert leaning(twice) == leaning(once)
