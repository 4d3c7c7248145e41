"""What twice the data would bring: facts that hold for any scores, and its error on measured learning curves."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.verdict import estimate_doubling
from harness.verdict.doubling import WORTHWHILE

CURVES = Path(__file__).parents[3] / "shared" / "data" / "curves" / "curves_dev.jsonl.gz"
POINT = 0.01
scores = st.floats(0, 1)
several = st.integers(2, 4).flatmap(lambda sizes: st.lists(scores, min_size=sizes, max_size=sizes))


def halves(sizes: int, largest: int = 800) -> list[int]:
    return [largest // 2**below for below in reversed(range(sizes))]


@given(several, st.integers(1, 5000), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_the_gain_lies_in_its_band_and_no_score_leaves_its_scale(
    means: list[float], cases: int, seeds: int
) -> None:
    found = estimate_doubling(halves(len(means)), means, cases=cases, seeds=seeds)
    assert found.low <= found.gain <= found.high
    assert -means[-1] <= found.low
    # A perfect score of few prompts may hide an error or two: the rule of three.
    assert found.high <= min(max(1 - means[-1], 3 / cases), 1) + 1e-9
    assert found.word == (
        "likely helps" if found.low > WORTHWHILE else "unlikely" if found.high < WORTHWHILE else "cannot tell"
    )
    assert (found.to_tell != "") == (found.word == "cannot tell")


@given(several, st.integers(1, 2000), st.randoms())
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_sizes_does_not_matter(means: list[float], cases: int, random: object) -> None:
    pairs = list(zip(halves(len(means)), means, strict=True))
    random.shuffle(pairs)  # type: ignore[attr-defined]
    sizes, shuffled = zip(*pairs, strict=True)
    assert estimate_doubling(sizes, shuffled, cases=cases) == estimate_doubling(
        halves(len(means)), means, cases=cases
    )


@given(several, st.integers(1, 2000), st.integers(2, 50))
@settings(max_examples=30, deadline=None)
def test_only_ratios_of_sizes_count(means: list[float], cases: int, times: int) -> None:
    sizes = halves(len(means))
    larger = [size * times for size in sizes]
    assert estimate_doubling(larger, means, cases=cases).gain == pytest.approx(
        estimate_doubling(sizes, means, cases=cases).gain
    )


@pytest.mark.parametrize("means", [(0.5, 0.6, 0.7), (0.8, 0.85, 0.88)])
def test_more_prompts_and_more_seeds_narrow_the_band(means: tuple[float, ...]) -> None:
    def width(cases: int, seeds: int) -> float:
        found = estimate_doubling((100, 200, 400), means, cases=cases, seeds=seeds)
        return found.high - found.low

    assert width(400, 1) < width(100, 1) < width(25, 1)
    assert width(100, 4) < width(100, 1)


def test_a_steady_climb_likely_helps_and_a_long_plateau_is_unlikely_to() -> None:
    climbing = estimate_doubling((100, 200, 400), (0.50, 0.59, 0.67), cases=1000)
    assert climbing.word == "likely helps"
    flat = estimate_doubling((100, 200, 400), (0.900, 0.901, 0.902), cases=2000)
    assert flat.word == "unlikely"


def test_two_noisy_numbers_never_say_that_more_data_will_not_help() -> None:
    falling = estimate_doubling((200, 400), (0.80, 0.77), cases=50)
    assert falling.word == "cannot tell"
    assert falling.last_gain == pytest.approx(-0.03)
    assert falling.high > WORTHWHILE


def test_the_literal_reading_stands_beside_it_where_there_is_a_half() -> None:
    assert estimate_doubling((100, 200), (0.7, 0.75), cases=100).last_gain == pytest.approx(0.05)
    assert estimate_doubling((51, 99, 200), (0.6, 0.7, 0.75), cases=100).last_gain == pytest.approx(0.05)
    assert estimate_doubling((50, 200), (0.7, 0.75), cases=100).last_gain is None


def test_what_would_make_it_tell_does_if_the_scores_stay() -> None:
    sizes, means = (100, 200, 400), (0.50, 0.58, 0.65)
    undecided = estimate_doubling(sizes, means, cases=100)
    assert undecided.word == "cannot tell"
    assert undecided.to_tell == (
        "if the scores stay as they are: 200 prompts instead of 100; or one size more, 1/8 of the data; "
        "or 2 trainings of each size instead of 1"
    )
    assert estimate_doubling(sizes, means, cases=200).word == "likely helps"
    assert estimate_doubling(sizes, means, cases=100, seeds=2).word == "likely helps"


def test_where_no_one_thing_is_enough_a_mixture_is_named_that_is() -> None:
    sizes, means = (100, 200, 400), (0.60, 0.66, 0.71)
    undecided = estimate_doubling(sizes, means, cases=100)
    assert undecided.to_tell.endswith("400 prompts instead of 100 and one size more, 1/8 of the data")
    assert estimate_doubling(sizes, means, cases=400).word == "cannot tell"


def test_where_the_gain_is_about_a_point_only_more_data_tells() -> None:
    undecided = estimate_doubling((100, 200, 400), (0.88, 0.895, 0.91), cases=400)
    assert undecided.to_tell.endswith("only a training on twice the data tells")


def test_a_leap_widens_the_band_and_is_told() -> None:
    step = estimate_doubling((100, 200, 400), (0.50, 0.5999, 0.65), cases=400)
    leap = estimate_doubling((100, 200, 400), (0.50, 0.6001, 0.65), cases=400)
    assert (leap.high - leap.low) / (step.high - step.low) == pytest.approx(1.25, abs=0.01)
    assert any("leaps" in caution for caution in leap.cautions)
    assert step.cautions == ()


def test_sizes_below_an_eighth_are_left_out_and_named() -> None:
    found = estimate_doubling((10, 100, 200, 400), (0.1, 0.7, 0.75, 0.78), cases=200)
    without = estimate_doubling((100, 200, 400), (0.7, 0.75, 0.78), cases=200)
    assert found.gain == without.gain
    assert any("10 rows" in caution for caution in found.cautions)


def test_a_size_between_doublings_counts_as_if_the_log_error_were_straight_there() -> None:
    half, quarter, whole = 0.7, 0.6, 0.78
    between = 1 - np.sqrt((1 - half) * (1 - quarter))
    three = estimate_doubling((100, 200, 400), (quarter, half, whole), cases=10_000)
    other = estimate_doubling((100, 141.42, 400), (quarter, between, whole), cases=10_000)
    assert other.gain == pytest.approx(three.gain, abs=0.01)
    assert other.last_gain is None


def test_prompts_that_move_together_make_it_surer_than_those_that_do_not() -> None:
    spread = 0.002
    together = np.full((3, 3), spread) + np.eye(3) * 1e-6
    apart = np.eye(3) * spread
    sure, unsure = (
        estimate_doubling((100, 200, 400), (0.6, 0.66, 0.71), cases=100, covariance=noise)
        for noise in (together, apart)
    )
    assert sure.high - sure.low < unsure.high - unsure.low


def test_more_prompts_divide_a_measured_covariance() -> None:
    sizes, means = (100, 200, 400), (0.50, 0.58, 0.65)
    noise = np.full((3, 3), 0.0015) + np.eye(3) * 0.001
    undecided = estimate_doubling(sizes, means, cases=100, covariance=noise)
    assert undecided.word == "cannot tell"
    (more, *_) = undecided.to_tell.removeprefix("if the scores stay as they are: ").split("; or ")
    prompts = int(more.split()[0])
    assert more == f"{prompts} prompts instead of 100"
    for cases, word in ((prompts // 2, "cannot tell"), (prompts, "likely helps")):
        found = estimate_doubling(sizes, means, cases=cases, covariance=noise * 100 / cases)
        assert found.word == word


def test_a_size_more_is_the_nearest_that_is_missing() -> None:
    means = (0.50, 0.65)
    quarter = estimate_doubling((100, 400), means, cases=150)
    assert "one size more, 1/2 of the data" in quarter.to_tell
    four = estimate_doubling((50, 100, 200, 400), (0.4, 0.48, 0.55, 0.61), cases=20)
    assert "one size more" not in four.to_tell


def test_what_was_trained_often_is_offered_more_often_only() -> None:
    undecided = estimate_doubling((100, 200, 400), (0.50, 0.56, 0.61), cases=60, seeds=3)
    assert "2 trainings" not in undecided.to_tell
    assert "3 trainings" not in undecided.to_tell


def test_the_gain_and_its_band_never_leave_the_scale() -> None:
    best = estimate_doubling((100, 200, 400), (0.5, 0.9, 1.0), cases=10)
    assert best.high <= 1 - 0.0
    worst = estimate_doubling((100, 200, 400), (0.5, 0.1, 0.0), cases=10)
    assert worst.low == 0.0


@pytest.mark.parametrize(
    ("sizes", "means", "cases", "says"),
    [
        ((100,), (0.5,), 10, "1 sizes"),
        ((100, 200), (0.5,), 10, "1 scores"),
        ((100, 100), (0.5, 0.6), 10, "sizes 100, 100"),
        ((0, 100), (0.5, 0.6), 10, "sizes 0, 100"),
        ((90, 100), (0.5, 0.6), 10, "tell nothing of a doubling"),
        ((1, 100), (0.5, 0.6), 10, "tell nothing of a doubling"),
        ((100, 200), (0.5, 1.2), 10, "outside 0..1"),
        ((100, 200), (float("nan"), 0.5), 10, "outside 0..1"),
        ((100, 200), (0.5, 0.6), 0, "0 cases"),
        ((100, float("inf")), (0.5, 0.6), 10, "sizes 100, inf"),
        ((100, 200), (-0.1, 0.6), 10, "outside 0..1"),
    ],
)
def test_what_cannot_be_estimated_is_refused_with_a_remedy(
    sizes: tuple[float, ...], means: tuple[float, ...], cases: int, says: str
) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        estimate_doubling(sizes, means, cases=cases)
    assert refused.value.remedy


def test_no_training_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="10 cases and 0 seeds"):
        estimate_doubling((100, 200), (0.5, 0.6), cases=10, seeds=0)


def test_a_covariance_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="covariance"):
        estimate_doubling((100, 200), (0.5, 0.6), cases=10, covariance=np.full((2, 2), np.nan))


def test_the_best_and_the_worst_score_and_one_case_are_taken() -> None:
    assert estimate_doubling((100, 200), (0.0, 1.0), cases=1).word


def test_a_covariance_of_another_shape_is_refused() -> None:
    with pytest.raises(UsageError, match="covariance"):
        estimate_doubling((100, 200), (0.5, 0.6), cases=10, covariance=np.eye(3))


@pytest.mark.skipif(not CURVES.is_file(), reason="measured curves are not part of the project")
def test_on_measured_curves_it_errs_less_than_the_rules_and_its_band_holds() -> None:
    """Every tenth curve, with 100 prompts at each size, six in ten of them alike: benchmarks/doubling.py has all of it."""
    with gzip.open(CURVES, "rt", encoding="utf-8") as file:
        curves = [np.array(json.loads(line)["scores"]) for line in list(file)[::10]]
    random = np.random.default_rng(0)
    truth = np.array([np.diff(curve.mean(axis=1))[-1] for curve in curves])
    seen = []
    for curve in curves:
        draws = np.where(random.random(100) < 0.6, random.random(100), random.random((4, 100)))
        seen.append((draws < curve[:4, random.integers(25)][:, None]).mean(axis=1))
    found = [estimate_doubling((2, 4, 8), score[1:], cases=100) for score in seen]
    gains, same_again = np.array([one.gain for one in found]), np.array([one.last_gain for one in found])

    def error(predicted: object) -> float:
        return float(np.abs(np.asarray(predicted) - truth).mean())

    assert error(gains) < 1.4 * POINT
    assert error(gains) < 0.6 * error(same_again)
    assert error(gains) < 0.75 * error(0.0)
    covered = [one.low <= gain <= one.high for one, gain in zip(found, truth, strict=True)]
    assert 0.78 <= np.mean(covered) <= 0.92
    helps = np.array([one.word == "likely helps" for one in found])
    assert truth[helps].size > 10
    assert np.mean(truth[helps] >= WORTHWHILE) > 0.85
