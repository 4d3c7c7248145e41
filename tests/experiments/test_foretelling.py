"""From rows to estimates: whose cases count, which suites have one, and what makes scores of sizes move together."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from study_samples import suite_from

from harness.experiments.arms import ArmOrder, Made
from harness.experiments.foretelling import foretell, targets_of
from harness.experiments.shares import Share
from harness.records import Arm, Completion, Failure, Result, Score, Suite
from harness.training import TrainingRequest
from harness.verdict import estimate_doubling

CASES = 12


def suite_named(folder: Path, name: str, **changes: object) -> Suite:
    cases = "".join(
        f'  - {{id: c{n}, prompt: "{n}?", expected: "{n}", metadata: {{town: t{n // 4}}}}}\n'
        for n in range(CASES)
    )
    text = f"name: {name}\nscorers: [{{type: exact_match}}]\ncases:\n{cases}"
    return replace(suite_from(folder, text), **changes)  # type: ignore[arg-type]


def row(suite: Suite, case: int, value: float | None) -> Result:
    outcome = Completion(text="x") if value is not None else Failure(kind="server", message="gone")
    scores = {} if value is None else {suite.scorers[0].name: Score(value=value, reason="as told")}
    return Result(
        suite=suite.name,
        case=f"c{case}",
        role="candidate",
        trial=0,
        model="m",
        digest="",
        outcome=outcome,
        scores=scores,
    )


def made(suite: Suite, rows: int, right: int, *, seed: int = 0, missing: int | None = None) -> Made:
    """An arm that answers the first cases rightly."""
    share = Share(fraction=Fraction(rows, 400), seed=seed, file=Path("x"), rows=rows, digest="")
    results = [row(suite, n, None if n == missing else float(n < right)) for n in range(CASES)]
    return Made(
        order=ArmOrder(
            share=share, request=TrainingRequest(model="m", training_file=Path("x")), folder=Path("x")
        ),
        arm=Arm(share=rows / 400, rows=rows, seed=seed, marks=()),
        rows=tuple(results),
    )


@pytest.fixture
def sums(tmp_path: Path) -> Suite:
    return suite_named(tmp_path, "sums")


def test_the_estimate_is_of_the_paired_prompts(sums: Suite) -> None:
    arms = [made(sums, 100, 5), made(sums, 200, 7), made(sums, 400, 9)]
    by_suite, pooled = foretell(arms, [sums])
    answers = np.array([[float(n < right) for right in (5, 7, 9)] for n in range(CASES)])
    covariance = np.cov(answers, rowvar=False) / CASES
    expected = estimate_doubling(
        (100, 200, 400), (5 / 12, 7 / 12, 9 / 12), cases=CASES, covariance=covariance
    )
    assert by_suite["sums"].gain == pytest.approx(expected.gain)
    assert by_suite["sums"].low == pytest.approx(expected.low)
    assert pooled == by_suite["sums"]


def test_a_case_without_a_score_at_one_size_counts_at_none(sums: Suite) -> None:
    whole = [made(sums, 200, 7), made(sums, 400, 9, missing=0)]
    by_suite, _ = foretell(whole, [sums])
    assert by_suite["sums"].last_gain == pytest.approx((8 - 6) / 11)


def test_seeds_of_one_share_are_averaged(sums: Suite) -> None:
    arms = [made(sums, 200, 5), made(sums, 200, 7, seed=1), made(sums, 400, 9), made(sums, 400, 9, seed=1)]
    by_suite, _ = foretell(arms, [sums])
    assert by_suite["sums"].last_gain == pytest.approx(3 / 12)


def test_one_size_has_no_estimate_and_a_failed_arm_is_no_size(sums: Suite) -> None:
    assert foretell([made(sums, 400, 9)], [sums]) == ({}, None)
    failed = replace(made(sums, 200, 7), arm=None)
    assert foretell([failed, made(sums, 400, 9)], [sums]) == ({}, None)


def test_guards_have_no_estimate_beside_targets(tmp_path: Path, sums: Suite) -> None:
    guard = suite_named(tmp_path, "guard", role="guard")
    assert targets_of([sums, guard]) == [sums]
    assert targets_of([guard]) == [guard]
    arms = [made(sums, 200, 7), made(sums, 400, 9)]
    both = [replace(arm, rows=(*arm.rows, *made(guard, 200, 3).rows)) for arm in arms]
    by_suite, _ = foretell(both, [sums, guard])
    assert set(by_suite) == {"sums"}


def test_cases_of_one_family_make_it_less_sure(tmp_path: Path, sums: Suite) -> None:
    towns = suite_named(tmp_path, "sums", family="town")
    arms = [made(sums, 200, 4), made(sums, 400, 8)]
    alone, _ = foretell(arms, [sums])
    kept, _ = foretell(arms, [towns])
    assert kept["sums"].high - kept["sums"].low > alone["sums"].high - alone["sums"].low


def test_targets_count_alike_when_they_are_pooled(tmp_path: Path, sums: Suite) -> None:
    other = suite_named(tmp_path, "other")
    sizes = ((200, 4, 6), (400, 8, 7))
    arms = [
        replace(
            made(sums, rows, first), rows=(*made(sums, rows, first).rows, *made(other, rows, second).rows)
        )
        for rows, first, second in sizes
    ]
    _, pooled = foretell(arms, [sums, other])
    assert pooled is not None
    assert pooled.last_gain == pytest.approx((4 / 12 + 1 / 12) / 2)
