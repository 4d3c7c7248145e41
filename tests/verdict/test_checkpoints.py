from dataclasses import replace

import numpy as np
import pytest

from harness.verdict import CheckpointScores, pick_checkpoint, read_elsewhere
from harness.verdict.pairedtests import Floats


def suite(*scores: Floats, role: str = "target", **settings: object) -> CheckpointScores:
    return CheckpointScores(name="s", role=role, scores=np.stack(scores), **settings)  # type: ignore[arg-type]


def right(many: int, *, of: int = 200) -> Floats:
    """So many of some cases right, the first ones."""
    return (np.arange(of) < many).astype(np.float64)


def picked(*suites: CheckpointScores) -> int:
    pick = pick_checkpoint(suites)
    assert pick is not None
    return pick.index


def test_the_best_on_the_targets_is_taken_where_little_can_be_shown() -> None:
    assert picked(suite(right(10, of=20), right(14, of=20), right(13, of=20))) == 1


def test_of_equals_the_earliest_is_taken() -> None:
    assert picked(suite(right(10, of=20), right(14, of=20), right(14, of=20))) == 1


def test_an_earlier_one_is_taken_that_is_shown_to_lose_less_than_the_margin() -> None:
    assert picked(suite(right(100, of=1000), right(899, of=1000), right(900, of=1000))) == 1


def test_guards_decide_among_those_that_are_as_good_on_the_targets() -> None:
    targets = suite(right(899, of=1000), right(900, of=1000))
    guards = suite(right(10, of=20), right(18, of=20), role="guard")
    assert picked(targets, guards) == 1
    assert picked(targets, replace(guards, role="critical")) == 1
    assert picked(targets, replace(guards, role="info")) == 0


def test_guards_do_not_save_a_checkpoint_that_is_worse_on_the_targets() -> None:
    targets = suite(right(50), right(150))
    assert picked(targets, suite(right(200), right(10), role="guard")) == 1


def test_guards_alone_decide_where_there_is_no_target() -> None:
    assert picked(suite(right(10, of=20), right(18, of=20), role="guard")) == 1


def test_suites_for_information_choose_nothing() -> None:
    assert pick_checkpoint([suite(right(1), right(2), role="info")]) is None


def test_suites_count_by_their_weights() -> None:
    first, second = suite(right(15, of=20), right(10, of=20)), suite(right(10, of=20), right(12, of=20))
    assert picked(first, second) == 0
    assert picked(first, replace(second, weight=10.0)) == 1


def test_a_checkpoint_without_answers_is_never_taken() -> None:
    assert picked(suite(np.full(20, np.nan), right(2, of=20))) == 1
    assert pick_checkpoint([suite(np.full(20, np.nan))]) is None


def test_only_cases_that_all_have_a_score_for_are_compared() -> None:
    gaps = right(10, of=20)
    gaps[10:] = np.nan  # its wrong answers are lost, which must not make it the best
    assert picked(suite(gaps, right(11, of=20))) == 0
    assert picked(suite(gaps, np.concatenate([right(9, of=10), np.ones(10)]))) == 0
    assert picked(suite(np.concatenate([right(9, of=10), np.full(10, np.nan)]), right(10, of=20))) == 1


def test_one_family_cannot_show_what_its_many_cases_would() -> None:
    early, late = right(899, of=1000), right(900, of=1000)
    assert picked(suite(early, late)) == 0
    assert picked(suite(early, late, families=np.zeros(1000, dtype=np.int64))) == 1


def test_the_reason_names_the_pools_and_the_score() -> None:
    pick = pick_checkpoint(
        [suite(right(899, of=1000), right(900, of=1000)), suite(right(5), right(5), role="guard")]
    )
    assert pick is not None
    assert pick.why == (
        "the earliest that is on the targets shown to lose less than 3 points to the best of them (90.0 %) "
        "and the best on the guards (2.5 %)"
    )


def test_guards_that_had_nothing_to_choose_from_are_no_reason() -> None:
    pick = pick_checkpoint([suite(right(10), right(100)), suite(right(9), right(5), role="guard")])
    assert pick is not None
    assert pick.why == "the earliest that is the best on the targets (50.0 %)"


def chosen_of_three_equals(draws: int) -> tuple[Floats, Floats]:
    """How much better than the truth the chosen one of three equal models looks: naively, and on other cases."""
    random = np.random.default_rng(20261123)
    naive, elsewhere = np.empty(draws), np.empty(draws)
    for at in range(draws):
        scores = (random.random((3, 100)) < 0.9).astype(np.float64)  # a standard error of 3 points
        table = suite(*scores)
        naive[at] = scores[picked(table)].mean() - 0.9
        (read,) = read_elsewhere([table], seed=str(at)) or ()
        elsewhere[at] = np.nanmean(read) - 0.9
    return naive, elsewhere


def test_choosing_does_not_flatter_what_is_read_on_other_cases() -> None:
    naive, elsewhere = chosen_of_three_equals(400)
    error = elsewhere.std() / np.sqrt(len(elsewhere))
    assert naive.mean() == pytest.approx(0.025, abs=0.004)
    assert abs(elsewhere.mean()) < 2.6 * error
    assert error < 0.0015


def test_families_are_never_on_both_sides() -> None:
    """Each family is right at one checkpoint alone: read where its own cases chose, it would always be right."""
    random = np.random.default_rng(1)
    families = np.repeat(np.arange(40), 5)
    at = random.integers(3, size=40)[families]
    scores = np.stack([(at == index).astype(np.float64) for index in range(3)])
    (together,) = read_elsewhere([suite(*scores, families=families)], seed="s") or ()
    assert np.nanmean(together) < 1 / 3
    for family in range(40):
        assert len(set(together[families == family])) == 1


def test_a_checkpoint_that_is_clearly_better_is_read_at_its_own_score() -> None:
    (read,) = read_elsewhere([suite(right(20), right(190), right(40))], seed="s") or ()
    assert np.nanmean(read) == pytest.approx(0.95)


def test_the_same_seed_reads_the_same() -> None:
    table = suite(right(10, of=21), right(12, of=21))
    first, second = (read_elsewhere([table], seed="job-1") for _ in range(2))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first[0], second[0])


def test_one_case_cannot_be_halved() -> None:
    assert read_elsewhere([suite(right(1, of=1), right(0, of=1))], seed="s") is None
