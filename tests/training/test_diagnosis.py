"""What a curve says about its number of epochs."""

from pathlib import Path

import numpy as np
import pytest
from curve_samples import curve, loss_course

from harness import diagnose, read_curve
from harness.training import TrainingCurve

RUNS = 80
SHARED = Path(__file__).parents[3] / "shared" / "data" / "results"


def words(factor: float, *, points: int, noise: float, runs: int = RUNS) -> list[str]:
    return [
        diagnose(curve(valid_loss=loss_course(points, factor=factor, noise=noise, seed=seed))).word
        for seed in range(runs)
    ]


# --- single batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("points", "noise"), [(12, 0.6), (24, 0.1), (24, 0.3), (60, 0.2), (200, 0.6)])
def test_a_plateau_is_a_plateau_at_any_noise_and_length(points: int, noise: float) -> None:
    found = words(1.0, points=points, noise=noise)
    # The benchmark measures .92 and more; this is two standard errors of 80 runs below it.
    assert found.count("plateau") >= 0.86 * RUNS


def test_a_rise_of_two_fifths_is_seen_in_24_points_nine_times_in_ten() -> None:
    assert words(1.42, points=24, noise=0.1).count("overfit") >= 0.9 * RUNS


def test_what_is_still_falling_is_no_overfit_and_mostly_seen_to_fall() -> None:
    found = words(0.7, points=60, noise=0.1, runs=60)
    assert found.count("overfit") == 0
    assert found.count("underfit") >= 0.85 * 60


def test_a_last_point_above_the_lowest_is_no_overfit() -> None:
    loss = loss_course(40, noise=0.05)
    loss[-1] = 1.3
    assert diagnose(curve(valid_loss=loss)).word == "plateau"


def test_a_change_below_three_percent_does_not_matter_however_sure() -> None:
    loss = 1 + 0.02 * np.arange(60) / 60
    found = diagnose(curve(valid_loss=loss))
    assert found.word == "plateau"
    assert 0 < found.change < 0.03


def test_the_sentence_tells_what_rose_and_where() -> None:
    found = diagnose(curve(valid_loss=loss_course(30, factor=1.5), at=list(range(10, 310, 10))))
    assert found.saw == (
        "the validation loss rose by 47 % from step 110 to 300, over 20 measurements: more than its noise explains (p < 0.001)"
    )
    assert found.best_step is None


def test_a_plateau_tells_which_rise_its_noise_hides_and_nine_in_ten_of_those_are_found() -> None:
    rises = [
        diagnose(curve(valid_loss=loss_course(60, noise=0.3, seed=seed))).smallest_rise for seed in range(20)
    ]
    rise = float(np.median(rises))
    assert 0.3 < rise < 0.7
    found = words(1 + rise, points=60, noise=0.3)
    assert found.count("overfit") >= 0.82 * RUNS


@pytest.mark.parametrize("points", [0, 1, 5, 11])
def test_too_few_measurements_are_unknown_with_the_remedy(points: int) -> None:
    loss = [1.0] * points + [np.nan] * (30 - points)
    found = diagnose(curve(valid_loss=loss, train_loss=[1.0] * 30))
    assert (found.word, found.points) == ("unknown", points)
    assert found.remedy == "give the job a validation file of 50 rows"


def test_an_empty_curve_is_unknown() -> None:
    assert diagnose(read_curve(b"step,train_loss\n")).word == "unknown"


def test_a_loss_of_zero_is_no_trouble() -> None:
    assert diagnose(curve(valid_loss=[0.0] * 40)).word == "plateau"


# --- the whole file, by epoch ---------------------------------------------------------------------------


def by_epoch(*losses: float) -> TrainingCurve:
    """Ten steps an epoch."""
    steps = [np.nan] * (10 * len(losses))
    steps[9::10] = losses
    return curve(full_valid_loss=steps)


@pytest.mark.parametrize(
    ("losses", "word", "best"),
    [
        ((1.0, 0.7, 0.632, 0.75, 0.904), "overfit", 30),
        ((1.0, 0.80, 0.85), "overfit", 20),
        ((1.0, 0.80, 0.81, 0.815, 0.83), "overfit", 20),
        ((1.0, 0.80, 0.83), "plateau", 20),
        ((1.0, 0.80, 0.82, 0.805), "plateau", 20),
        ((1.0, 0.80, 0.81), "plateau", 20),
        ((1.0, 0.85, 0.70), "underfit", 30),
        ((1.0, 0.85, 0.84), "plateau", 30),
        ((1.0, 0.9, 0.86, 0.83, 0.79), "underfit", 50),
        ((0.5, 0.9), "overfit", 10),
    ],
)
def test_the_whole_file_is_judged_by_its_epochs(losses: tuple[float, ...], word: str, best: int) -> None:
    found = diagnose(by_epoch(*losses), epochs=len(losses))
    assert (found.word, found.best_step) == (word, best)


def test_a_series_that_wavers_as_much_as_it_rose_is_not_overfit() -> None:
    rough = (1.0, 0.80, 0.88, 0.79, 0.87, 0.80, 0.88)
    assert diagnose(by_epoch(*rough), epochs=7).word == "plateau"


def test_without_a_number_of_epochs_the_measurements_are_taken_as_they_come() -> None:
    assert diagnose(by_epoch(1.0, 0.7, 0.9)).word == "overfit"


def test_many_measurements_of_the_whole_file_within_epochs_are_taken_at_their_ends() -> None:
    loss = np.full(60, np.nan)
    loss[4::5] = [1.2, 1.0, 0.9, 0.8, 0.9, 0.75, 0.9, 0.72, 0.9, 0.71, 0.9, 0.70]
    found = diagnose(curve(full_valid_loss=loss), epochs=6)
    assert found.points == 6
    assert found.best_step == 60


def test_a_long_series_of_the_whole_file_is_judged_by_its_trend() -> None:
    loss = loss_course(40, factor=1.3, noise=0.02)
    found = diagnose(curve(full_valid_loss=loss))
    assert (found.word, found.points) == ("overfit", 40)
    assert found.best_step == int(np.argmin(loss)) + 1


def test_the_whole_file_is_believed_before_single_batches() -> None:
    full = np.full(40, np.nan)
    full[[19, 39]] = 0.8, 0.81
    both = curve(valid_loss=loss_course(40, factor=1.6), full_valid_loss=full)
    assert diagnose(both, epochs=2).word == "plateau"


def test_levels_at_the_end_are_told_for_advice() -> None:
    found = diagnose(
        curve(train_loss=[3.0, 2.0, 1.0, 0.5, 0.4, 0.3], valid_loss=[3.0, 2.0, 1.0, 0.9, 0.8, 0.7])
    )
    assert (found.train_end, found.valid_end) == pytest.approx((0.35, 0.75))


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real result files beside this checkout")
@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("azure_rice_excerpt_handcopied.csv", "unknown"),
        ("jobgpt_a_step_metrics.csv", "overfit"),
        ("murd_legacy_novalid_compiled_results.csv", "unknown"),
        ("quantumapple_historygpt_step_metrics.csv", "plateau"),
        ("tadiwa_genset_step_metrics.b64.csv", "plateau"),
    ],
)
def test_real_result_files_are_diagnosed(name: str, word: str) -> None:
    assert diagnose(read_curve(SHARED / name)).word == word
