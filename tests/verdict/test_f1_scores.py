import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from harness.verdict.f1_scores import (
    RESAMPLES,
    LabelReadings,
    confusion_of,
    macro_f1,
    macro_f1_bounds,
    parts_of,
    percentiles,
    resampled_macro_f1,
)

LABELS = 3
INVALID = LABELS


def readings(expected: list[int], read: list[int | None]) -> LabelReadings:
    """One trial per case; None is an answer that is missing."""
    shares = np.zeros((len(expected), LABELS + 1))
    for row, column in enumerate(read):
        if column is not None:
            shares[row, column] = 1
    return LabelReadings(
        expected=np.array(expected),
        shares=shares,
        missing=np.array([float(column is None) for column in read]),
    )


def value(answers: LabelReadings) -> float:
    return float(macro_f1(parts_of(answers).sum(axis=0)))


_CASES = st.lists(st.tuples(st.integers(0, LABELS - 1), st.integers(0, INVALID)), min_size=1, max_size=40)


@settings(max_examples=80, deadline=None)
@given(_CASES)
def test_macro_f1_and_confusion_agree_with_scikit_learn(cases: list[tuple[int, int]]) -> None:
    expected, read = (list(side) for side in zip(*cases, strict=True))
    answers = readings(expected, list(read))
    present = sorted(set(expected))
    assert value(answers) == pytest.approx(
        f1_score(expected, read, labels=present, average="macro", zero_division=0.0)
    )
    matrix = confusion_matrix(expected, read, labels=range(LABELS + 1))
    assert confusion_of(answers).tolist() == matrix[:LABELS].tolist()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()), min_size=1, max_size=12),
    st.data(),
)
def test_bounds_hold_whatever_the_missing_answers_are(
    cases: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    expected = [label for label, _, _ in cases]
    seen = [None if lost else read for _, read, lost in cases]
    low, high = macro_f1_bounds(readings(expected, list(seen)))
    filled = [data.draw(st.integers(0, INVALID)) if read is None else read for read in seen]
    assert low - 1e-12 <= value(readings(expected, list(filled))) <= high + 1e-12


def test_bounds_meet_when_nothing_is_missing() -> None:
    answers = readings([0, 0, 1, 2], [0, 1, 1, INVALID])
    assert macro_f1_bounds(answers) == pytest.approx((value(answers), value(answers)))


def test_label_without_cases_is_left_out_whatever_is_answered() -> None:
    assert value(readings([0, 0], [0, 0])) == 1
    assert value(readings([0, 0], [0, 2])) == pytest.approx(2 / 3)


def test_without_any_answer_there_is_no_value() -> None:
    assert np.isnan(value(readings([0, 1], [None, None])))


def test_trials_are_shared_out() -> None:
    once = readings([0, 1], [0, 1])
    mixed = LabelReadings(
        expected=once.expected, shares=np.array([[0.5, 0.5, 0, 0], [0, 1, 0, 0]]), missing=once.missing
    )
    # Label 0: right .5, read .5, expected 1. Label 1: right 1, read 1.5, expected 1.
    assert value(mixed) == pytest.approx((2 * 0.5 / 1.5 + 2 * 1 / 2.5) / 2)


def test_resamples_are_the_same_each_time_and_centre_on_the_value() -> None:
    answers = readings([0, 1, 2] * 20, [0, 1, 2, 0, 1, INVALID] * 10)
    draws = resampled_macro_f1(parts_of(answers), families=None)
    assert draws.shape == (RESAMPLES,)
    assert np.array_equal(draws, resampled_macro_f1(parts_of(answers), families=None))
    assert float(draws.mean()) == pytest.approx(value(answers), abs=0.01)


def test_models_are_drawn_together() -> None:
    answers = readings([0, 1, 2] * 20, [0, 1, 2, 0, 1, INVALID] * 10)
    sides = np.stack([parts_of(answers), parts_of(answers)], axis=1)
    draws = resampled_macro_f1(sides, families=None)
    assert draws.shape == (RESAMPLES, 2)
    assert np.array_equal(draws[:, 0], draws[:, 1])


def test_cases_of_one_family_widen_the_interval() -> None:
    expected = [0, 1, 2] * 40
    # A family of ten is right or wrong as a whole.
    right = np.random.default_rng(3).random(12) < 0.6
    read = [label if right[case // 10] else INVALID for case, label in enumerate(expected)]
    parts = parts_of(readings(expected, list(read)))
    alone = percentiles(resampled_macro_f1(parts, families=None), confidence=0.95)
    together = percentiles(resampled_macro_f1(parts, families=np.arange(120) // 10), confidence=0.95)
    assert alone is not None
    assert together is not None
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_values_that_do_not_differ_have_no_interval() -> None:
    assert percentiles(np.ones(RESAMPLES), confidence=0.9) is None


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Three labels with twelve cases each: simulated suites from a known confusion; 95 % is asked."""
    generator = np.random.default_rng(11)
    chances = np.array([[0.8, 0.1, 0.0, 0.1], [0.1, 0.7, 0.1, 0.1], [0.0, 0.1, 0.9, 0.0]])
    expected = [0, 1, 2] * 12
    truth = float(macro_f1(np.concatenate([chances[:, :3].diagonal(), chances[:, :3].sum(0), np.ones(3)])))
    held = 0
    for _ in range(150):
        read = [int(generator.choice(4, p=chances[label])) for label in expected]
        found = percentiles(
            resampled_macro_f1(parts_of(readings(expected, list(read))), families=None), confidence=0.95
        )
        held += found is not None and found[0] <= truth <= found[1]
    assert held / 150 >= 0.88
