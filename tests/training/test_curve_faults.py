"""What is wrong with a curve is named: where, what it means, what to do."""

import math
from pathlib import Path

import numpy as np
import pytest
from curve_samples import curve, loss_course

from harness.training import CurveFault, TrainingCurve, corrected_accuracy, curve_from_events, read_curve
from harness.training.closing_tokens import TOOL_CALL_CLOSING_TOKENS
from harness.training.curve_faults import find_faults, spike_places

SHARED = Path(__file__).parents[3] / "shared" / "data" / "results"


def faults(of: TrainingCurve, **known: float) -> dict[str, CurveFault]:
    found = find_faults(of, **known)
    assert all(fault.says and fault.remedy for fault in found)
    return {fault.kind: fault for fault in found}


def sound(**changed: object) -> TrainingCurve:
    """A curve without a fault, with some columns replaced."""
    columns = {
        "train_loss": loss_course(40, factor=0.5, noise=0.1, seed=1),
        "valid_loss": loss_course(40, noise=0.1, seed=2),
        "train_accuracy": [0.7] * 40,
        "valid_accuracy": [0.6] * 40,
    }
    return curve(**(columns | changed))


def test_a_sound_curve_has_no_fault() -> None:
    assert faults(sound()) == {}


# --- accuracy against loss ------------------------------------------------------------------------------


def test_an_accuracy_below_what_the_loss_allows_contradicts_it() -> None:
    accuracy = [0.6] * 30 + [0.0, 0.4, 0.73] + [0.99] * 7
    loss = [1.0] * 30 + [0.05] * 10
    found = faults(sound(valid_loss=loss, valid_accuracy=accuracy))["accuracy contradicts loss"]
    assert (found.from_step, found.to_step, found.column) == (31, 33, "valid_accuracy")
    assert (
        "at 3 of 40 measured steps: at step 31 it is 0.00, while a loss of 0.050 means at least 0.93"
        in found.says
    )
    assert "February 2024" in found.remedy


@pytest.mark.parametrize("wrong", [0.1, 0.3, 0.6, 1.0])
def test_the_least_loss_of_a_wrong_share_is_no_contradiction(wrong: float) -> None:
    loss = wrong * math.log(2)
    assert "accuracy contradicts loss" not in faults(
        sound(valid_loss=[loss] * 40, valid_accuracy=[1 - wrong] * 40)
    )


def test_every_kind_of_accuracy_is_held_against_its_own_loss() -> None:
    full = curve(full_valid_loss=[0.01, 0.01], full_valid_accuracy=[0.2, 0.99], train_loss=[1.0, 1.0])
    found = [fault for fault in find_faults(full) if fault.kind == "accuracy contradicts loss"]
    assert [(fault.column, fault.from_step, fault.to_step) for fault in found] == [
        ("full_valid_accuracy", 1, 1)
    ]


# --- closing tokens -------------------------------------------------------------------------------------


def test_a_classifier_of_one_token_that_is_always_wrong_has_an_accuracy_of_two_thirds() -> None:
    assert corrected_accuracy(2 / 3, answer_tokens=1) == pytest.approx(0)
    assert corrected_accuracy(1, answer_tokens=1) == 1
    assert corrected_accuracy(0.8, answer_tokens=8) == pytest.approx(0.75)
    assert corrected_accuracy(0.5, answer_tokens=5, closing=TOOL_CALL_CLOSING_TOKENS) == 0


def test_a_known_length_gives_the_corrected_accuracy() -> None:
    found = faults(sound(valid_accuracy=[0.8] * 40), answer_tokens=8.0, closing_tokens=2)
    fault = found["accuracy counts closing tokens"]
    assert fault.corrected == pytest.approx(0.75)
    assert "80.0 % at the end is 75.0 % of the answers' own tokens, 8.0 an answer" in fault.says


def test_long_answers_are_hardly_inflated_and_not_reported() -> None:
    assert "accuracy counts closing tokens" not in faults(sound(), answer_tokens=400.0, closing_tokens=2)


def test_an_unknown_length_gives_examples_and_other_providers_none() -> None:
    fault = faults(sound(), closing_tokens=2)["accuracy counts closing tokens"]
    assert fault.corrected is None
    assert (
        "60 % at the end is 20 % with answers of 2, 44 % with answers of 5, 56 % with answers of 20 tokens"
        in fault.says
    )
    assert "accuracy counts closing tokens" not in faults(sound())


def rounded_accuracies(lengths: np.ndarray, share: float, *, batch: int = 1) -> list[float]:
    """Accuracies as OpenAI writes them, of answers of these lengths, the two closing tokens right."""
    draw = np.random.default_rng(5)
    counted = lengths.reshape(-1, batch)
    right = draw.binomial(counted, share)
    return [
        round(float(sum(row) + 2 * batch) / float(sum(all_) + 2 * batch), 5)
        for row, all_ in zip(right, counted, strict=True)
    ]


@pytest.mark.parametrize(("longest", "batch"), [(2, 1), (6, 1), (20, 1), (20, 3)])
def test_the_length_is_told_from_the_accuracies_themselves(longest: int, batch: int) -> None:
    lengths = np.random.default_rng(2).integers(1, longest + 1, size=120 * batch)
    accuracies = rounded_accuracies(lengths, 0.3, batch=batch)
    found = faults(curve(train_accuracy=accuracies), batch_size=batch, closing_tokens=2)
    fault = found["accuracy counts closing tokens"]
    last = float(np.median(accuracies[-12:]))
    assert fault.corrected == pytest.approx(
        corrected_accuracy(last, answer_tokens=float(lengths.mean())), abs=0.1
    )


def test_a_length_is_not_guessed_for_an_unknown_batch_or_unrounded_figures() -> None:
    lengths = np.full(120, 20)
    assert (
        faults(curve(train_accuracy=rounded_accuracies(lengths, 0.6)), closing_tokens=2)[
            "accuracy counts closing tokens"
        ].corrected
        is None
    )
    drawn = np.random.default_rng(1).uniform(0.4, 0.9, size=120)
    assert (
        faults(curve(train_accuracy=drawn), closing_tokens=2, batch_size=1)[
            "accuracy counts closing tokens"
        ].corrected
        is None
    )


# --- validation -----------------------------------------------------------------------------------------


def test_missing_validation_is_named_with_the_remedy() -> None:
    found = faults(curve(train_loss=[1.0] * 5))
    assert found["no validation"].remedy == "give the job a validation file of 50 rows"


def test_a_training_loss_near_zero_over_a_higher_validation_is_memorised() -> None:
    train = [1.0] * 15 + [0.01] * 25
    fault = faults(sound(train_loss=train, train_accuracy=[1.0] * 40))["memorised"]
    assert (fault.from_step, fault.to_step) == (16, 40)
    assert "below 0.1 at 25 of 40 steps" in fault.says
    assert "memorised" in faults(curve(train_loss=train))


def test_what_is_as_good_on_unseen_rows_is_learned_not_memorised() -> None:
    low = [1.0] * 15 + [0.01] * 25
    easy = sound(train_loss=low, valid_loss=low, train_accuracy=[1.0] * 40, valid_accuracy=[1.0] * 40)
    assert "memorised" not in faults(easy)
    assert "memorised" not in faults(sound(train_loss=[1.0] * 25 + [0.01] * 15, train_accuracy=[1.0] * 40))


def test_a_validation_far_below_training_at_the_start_is_suspected() -> None:
    start = loss_course(40, noise=0.05, seed=4)
    found = faults(
        sound(
            train_loss=start, valid_loss=0.2 * loss_course(40, noise=0.05, seed=5), valid_accuracy=[1.0] * 40
        )
    )
    assert "harness data check --valid" in found["validation unlike training"].remedy
    assert "validation unlike training" not in faults(sound(train_loss=start, valid_loss=0.8 * start))


# --- steps ----------------------------------------------------------------------------------------------


def test_gaps_are_named_and_a_regular_distance_is_none() -> None:
    at = [*range(1, 6), *range(20, 26), 40]
    fault = faults(curve(train_loss=[1.0] * len(at), at=at))["gap"]
    assert fault.steps == (5, 20, 25, 40)
    assert "between steps 5 and 20, 25 and 40" in fault.says
    assert "gap" not in faults(curve(train_loss=[1.0] * 9, at=list(range(10, 100, 10))))


def test_a_curve_that_begins_late_or_ends_before_the_announced_end_has_a_gap() -> None:
    assert faults(curve(train_loss=[1.0] * 9, at=list(range(51, 60))))["gap"].steps == (0, 51)
    told = [{"step": step, "total_steps": 40, "train_loss": 1.0} for step in range(1, 11)]
    assert faults(curve_from_events(told))["gap"].steps == (10, 40)
    whole = [{"step": step, "total_steps": 10, "train_loss": 1.0} for step in range(1, 11)]
    assert "gap" not in faults(curve_from_events(whole))


def test_divergence_is_told_from_single_broken_steps() -> None:
    lost = faults(sound(train_loss=[1.0] * 30 + [math.inf] * 10))["not a number"]
    assert (lost.from_step, lost.to_step) == (31, 40)
    assert "training diverged" in lost.says
    assert "learning rate" in lost.remedy
    once = faults(sound(train_loss=[1.0] * 10 + [math.inf] + [1.0] * 29))["not a number"]
    assert once.says == "training loss is not a number at step 11"


def test_a_loss_that_is_written_as_nan_is_a_fault_and_an_empty_cell_is_none() -> None:
    found = faults(read_curve(b"step,train_loss,valid_loss\n1,1.0,1.0\n2,NaN,\n3,nan,nan\n"))
    assert found["not a number"].steps == (2, 3)
    assert found["not a number"].column == "train_loss"


def test_steps_measured_twice_with_other_values_are_named() -> None:
    found = faults(read_curve(b"step,train_loss\n1,1.0\n2,0.9\n2,0.8\n3,0.7\n1,1.0\n"))
    assert (
        found["repeated steps"].says
        == "measured more than once, with other values, at step 2; the last is shown"
    )


def test_a_spike_is_far_above_its_neighbours_and_a_row_that_comes_back_is_told() -> None:
    loss = loss_course(90, noise=0.2, seed=3)
    loss[10::11] = 12.0
    fault = faults(curve(valid_loss=loss, train_loss=loss_course(90, noise=0.2)))["loss spikes"]
    assert fault.steps == tuple(range(11, 91, 11))
    assert "every 11 steps: likely the same row each time" in fault.says


def test_noise_is_no_spike() -> None:
    draw = np.random.default_rng(0)
    level = np.linspace(math.log(1.5), math.log(0.3), 200)
    found = [len(spike_places(np.exp(level + draw.normal(scale=0.4, size=200)))) for _ in range(200)]
    assert sum(bool(spikes) for spikes in found) <= 2


# --- real files -----------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real result files beside this checkout")
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("azure_rice_excerpt_handcopied.csv", {"accuracy counts closing tokens", "gap"}),
        ("jobgpt_a_step_metrics.csv", {"accuracy counts closing tokens", "loss spikes"}),
        ("murd_legacy_novalid_compiled_results.csv", {"no validation"}),
        ("quantumapple_historygpt_step_metrics.csv", {"accuracy counts closing tokens"}),
        ("tadiwa_genset_step_metrics.b64.csv", {"accuracy counts closing tokens"}),
    ],
)
def test_real_result_files_have_these_faults(name: str, kinds: set[str]) -> None:
    assert {fault.kind for fault in find_faults(read_curve(SHARED / name))} == kinds
