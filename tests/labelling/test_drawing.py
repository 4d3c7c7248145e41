from collections import Counter

from harness.labelling.drawing import allotted, drawn


def test_rare_findings_are_drawn_more_densely_than_common_ones() -> None:
    assert allotted({0: 16, 3: 144}, 40) == {0: 10, 3: 30}


def test_every_stratum_gets_two_before_any_gets_its_share() -> None:
    assert allotted({0: 1000, 1: 3, 2: 1}, 6) == {0: 3, 1: 2, 2: 1}


def test_no_more_are_drawn_than_there_are() -> None:
    assert allotted({0: 3, 3: 2}, 50) == {0: 3, 3: 2}
    assert sorted(drawn([0, 0, 3, 3, 0], 50, seed=1)) == [0, 1, 2, 3, 4]
    assert drawn([], 5, seed=0) == []


def test_the_same_seed_draws_the_same_and_more_cases_add_to_it() -> None:
    strata = [0] * 50 + [1] * 20 + [3] * 130
    few, many = drawn(strata, 20, seed=4), drawn(strata, 60, seed=4)
    assert drawn(strata, 20, seed=4) == few
    assert set(few) < set(many)
    assert set(drawn(strata, 20, seed=5)) != set(few)


def test_within_a_stratum_all_cases_have_the_same_chance() -> None:
    counts = Counter(index for seed in range(2000) for index in drawn([0] * 10, 3, seed=seed))
    assert set(counts) == set(range(10))
    assert all(abs(count - 600) < 5 * (2000 * 0.3 * 0.7) ** 0.5 for count in counts.values())
