import random
from collections import Counter

import numpy as np
import pytest

from harness.reliability import kappa, reliability_of


def votes(*items: str) -> Counter[tuple[str, ...]]:
    return Counter(tuple(sorted(item)) for item in items)


# Krippendorff, "Computing Krippendorff's Alpha-Reliability", example C: four observers, twelve units, some values missing.
PUBLISHED = votes("111", "2223", "3333", "3333", "2222", "1234", "4444", "1112", "2222", "555", "11")


def test_the_published_example_is_reproduced() -> None:
    found = reliability_of(PUBLISHED)
    assert found is not None
    assert found.alpha == pytest.approx(0.743, abs=5e-4)
    assert found.low < found.alpha < found.high


def test_two_observers_of_the_published_example_with_yes_and_no() -> None:
    """Example A of the same paper: ten units, two values, alpha .095."""
    found = reliability_of(votes("01", "11", "01", "00", "00", "01", "00", "00", "10", "00"))
    assert found is not None
    assert found.alpha == pytest.approx(0.095, abs=5e-4)
    assert found.agreement == pytest.approx(0.6)


def test_alpha_is_that_of_the_library_on_random_votes() -> None:
    library = pytest.importorskip("krippendorff")
    generator = random.Random(4)
    for _ in range(20):
        items = ["".join(generator.choices("abcd", k=generator.randint(2, 6))) for _ in range(30)]
        table = [[item.count(label) for label in "abcd"] for item in items]
        found = reliability_of(votes(*items))
        assert found is not None
        expected = library.alpha(value_counts=table, level_of_measurement="nominal")
        assert found.alpha == pytest.approx(expected)


def test_both_ceilings_of_two_labels_with_seventy_percent_agreement() -> None:
    """With label shares p and 1 - p everywhere, agreement p² + (1 - p)² = .7 allows (1 + √.4)/2 = .82."""
    share = (1 + 0.4**0.5) / 2
    many = round(1000 * share)
    found = reliability_of(
        Counter({("a",) * many + ("b",) * (1000 - many): 1, ("a",) * (1000 - many) + ("b",) * many: 1})
    )
    assert found is not None
    assert found.match == pytest.approx(0.7, abs=2e-3)
    assert found.agreement == pytest.approx(0.7, abs=2e-3)
    assert found.ceiling == pytest.approx(share, abs=2e-3)


def test_full_agreement_is_one_and_chance_about_zero() -> None:
    full = reliability_of(votes(*["aaa", "bbb"] * 20))
    assert full is not None
    assert (full.alpha, full.low, full.high, full.ceiling) == (1, 1, 1, 1)
    generator = random.Random(2)
    chance = reliability_of(votes(*("".join(generator.choices("ab", k=3)) for _ in range(2000))))
    assert chance is not None
    assert chance.low < 0 < chance.high
    assert chance.high - chance.low < 0.1


def test_one_label_alone_and_no_items_have_no_agreement() -> None:
    assert reliability_of(votes("aa", "aaa")) is None
    assert reliability_of(votes()) is None


def test_the_interval_covers_what_many_items_show() -> None:
    generator = random.Random(3)

    def drawn(count: int) -> list[str]:
        return [
            "".join(generator.choices("ab", weights=(9, 1) if generator.random() < 0.5 else (1, 9), k=3))
            for _ in range(count)
        ]

    truth = reliability_of(votes(*drawn(20_000)))
    assert truth is not None
    covered = 0
    for _ in range(40):
        found = reliability_of(votes(*drawn(60)))
        assert found is not None
        covered += found.low <= truth.alpha <= found.high
    assert covered >= 34


# --- kappa -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("quadratic", [False, True])
def test_kappa_is_that_of_the_library_on_random_values(quadratic: bool) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(3)
    for _ in range(20):
        first = generator.integers(1, 6, 40)
        second = np.clip(first + generator.integers(-1, 2, 40), 1, 5)
        weights = generator.random(40)
        expected = metrics.cohen_kappa_score(
            first, second, weights="quadratic" if quadratic else None, sample_weight=weights
        )
        found = kappa(first.astype(float), second.astype(float), weights=weights, quadratic=quadratic)
        assert found == pytest.approx(expected)


def test_both_kappas_are_the_same_on_two_values() -> None:
    first, second = np.array([1.0, 1, 0, 0, 1, 0]), np.array([1.0, 0, 0, 0, 1, 1])
    assert kappa(first, second) == pytest.approx(1 / 3)
    assert kappa(first, second, quadratic=True) == pytest.approx(1 / 3)


def test_levels_next_to_each_other_disagree_less_than_levels_far_apart() -> None:
    people = np.array([1.0, 2, 3, 4, 5])
    near, far = np.array([2.0, 3, 4, 5, 4]), np.array([5.0, 4, 1, 2, 1])
    close, wide = kappa(people, near, quadratic=True), kappa(people, far, quadratic=True)
    assert close is not None
    assert wide is not None
    assert close > 0.5 > 0 > wide
    assert kappa(people, near) == kappa(people, far)


def test_kappa_is_unknown_where_nothing_could_disagree() -> None:
    ones = np.ones(5)
    assert kappa(ones, ones) is None
    assert kappa(ones, ones, quadratic=True) is None
    assert kappa(np.array([]), np.array([])) is None


def test_weights_stand_for_items_that_were_not_drawn() -> None:
    """An item of weight 3 counts like three items."""
    first, second = np.array([1.0, 0, 1]), np.array([1.0, 0, 0])
    weighted = kappa(first, second, weights=np.array([3.0, 1, 2]))
    repeated = kappa(np.array([1.0, 1, 1, 0, 1, 1]), np.array([1.0, 1, 1, 0, 0, 0]))
    assert weighted == pytest.approx(repeated)
