import math

import numpy as np
import pytest
from scipy.special import stdtrit

from harness.verdict import Readings, correct, strata_of
from harness.verdict.corrections import _PSEUDO, UNJUDGED, label_weights, trust_in

NOBODY = np.nan


def readings(
    judged: list[float],
    people: list[float],
    *,
    strata: list[int] | None = None,
    seen: list[float] | None = None,
) -> Readings:
    said = np.array(people, dtype=float)
    judge = np.array(judged if seen is None else seen, dtype=float)
    return Readings(
        judged=np.array(judged, dtype=float),
        people=said,
        seen=np.where(np.isnan(said), np.nan, judge),
        strata=np.array(strata or [0] * len(judged)),
    )


def test_the_mean_is_the_judges_plus_what_people_add() -> None:
    """All: judge .5. Labelled: people .5, judge .75, so trust 1 takes .25 off."""
    some = readings([1, 1, 1, 0, 1, 0, 0, 0], [1, 1, 0, 0] + [NOBODY] * 4)
    found = correct(some, trust=1.0)
    assert found is not None
    assert found.mean.mean == pytest.approx(0.5 + (0.5 - 0.75))
    assert found.labels == 4


def test_without_trust_only_people_count() -> None:
    some = readings([1, 1, 1, 1, 1, 0], [1, 0, 1, 0, NOBODY, NOBODY])
    found = correct(some, trust=0.0)
    assert found is not None
    assert found.mean.mean == pytest.approx(0.5)


def test_all_labelled_is_what_people_say_whatever_the_judge() -> None:
    people = [1, 0, 1, 1, 0, 0, 1, 0]
    for trust in (0.0, 0.4, 1.0):
        found = correct(readings([1, 1, 1, 1, 1, 0, 1, 1], people), trust=trust)
        assert found is not None
        assert found.mean.mean == pytest.approx(0.5)


def test_a_judge_that_is_right_is_trusted_and_one_that_never_varies_is_not() -> None:
    people = [1, 0, 1, 0, 1, 0]
    assert trust_in(readings(people, people)) == pytest.approx(1.0)
    assert trust_in(readings([1] * 6, people)) == 0.0
    assert trust_in(readings([1 - value for value in people], people)) == 0.0


def test_fewer_than_two_labels_correct_nothing() -> None:
    assert correct(readings([1, 0, 1], [1, NOBODY, NOBODY])) is None
    assert correct(readings([1, 0, 1], [NOBODY] * 3)) is None


def test_a_label_stands_for_its_own_stratum() -> None:
    """Three quarters of the cases are in stratum 0, where people agree; in stratum 3 they never do."""
    judged, strata = [0] * 6 + [1] * 2, [0] * 6 + [3] * 2
    people = [0, 0, *[NOBODY] * 4, 0, 0]
    some = readings(judged, people, strata=strata)
    assert label_weights(some).tolist() == [3, 3, 0, 0, 0, 0, 1, 1]
    found = correct(some, trust=1.0)
    assert found is not None
    assert found.mean.mean == pytest.approx(0.25 - 0.25)


def test_a_stratum_with_one_label_is_joined_to_its_neighbour() -> None:
    some = readings([0, 0, 0, 1, 1], [0, 0, NOBODY, 1, NOBODY], strata=[0, 0, 0, 1, 1])
    assert label_weights(some).tolist() == pytest.approx([5 / 3, 5 / 3, 0, 5 / 3, 0])


def test_answers_that_never_came_are_not_corrected() -> None:
    """Two lost answers count as 0 whoever looks; of the judged ones people find one in two good."""
    some = readings([1, 1, 1, 1, 0, 0], [1, 0, 1, 0, NOBODY, NOBODY], strata=[3, 3, 3, 3, UNJUDGED, UNJUDGED])
    found = correct(some)
    assert found is not None
    assert found.mean.mean == pytest.approx(2 / 6)


def test_what_no_judge_saw_counts_whole_however_little_the_judge_is_trusted() -> None:
    """A candidate's lost answer is a difference of -1 whoever looks: half of four cases is won by people's word, two are lost."""
    strata = [3, 3, 3, 3, UNJUDGED, UNJUDGED]
    some = readings([1, 1, 1, 1, -1, -1], [1, 0, 1, 0, NOBODY, NOBODY], strata=strata)
    found = correct(some, trust=0.0)
    assert found is not None
    assert found.mean.mean == pytest.approx((4 * 0.5 - 2) / 6)


def test_the_judge_is_compared_on_the_trial_that_people_saw() -> None:
    """The mean over trials is .5; the labelled trial was good in the judge's eyes and people's: nothing to correct."""
    some = readings([0.5] * 4, [1, 1, NOBODY, NOBODY], seen=[1, 1, 0, 0])
    found = correct(some, trust=1.0)
    assert found is not None
    assert found.mean.mean == pytest.approx(0.5)


def test_without_any_error_among_the_labels_the_interval_is_not_that_of_certainty() -> None:
    """30 labels without an error: an error rate of a few percent would often look so."""
    rng = np.random.default_rng(0)
    people = (rng.random(3000) < 0.7).astype(float)
    said = np.where(np.arange(3000) < 30, people, np.nan)
    found = correct(readings(people.tolist(), said.tolist()))
    assert found is not None
    assert found.mean.error > 1 / 31


def test_families_widen_the_error() -> None:
    rng = np.random.default_rng(1)
    families = np.repeat(np.arange(40), 10)
    good = np.repeat(rng.random(40) < 0.5, 10).astype(float)
    people = np.where(rng.random(400) < 0.25, good, np.nan)
    some = readings(good.tolist(), people.tolist())
    alone, together = correct(some), correct(some, families=families)
    assert alone is not None
    assert together is not None
    assert together.mean.error > 1.5 * alone.mean.error
    assert together.mean.freedom <= 39


def test_strata_tell_the_four_ways_the_judge_can_find_a_pair() -> None:
    assert strata_of(np.array([0.0, 0.0, 0.5, 1.0]), np.array([0.2, 0.9, 0.0, 1.0])).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("labels", [25, 100])
def test_the_interval_covers_where_the_judge_alone_is_off_by_far(labels: int) -> None:
    """A judge that misses one bad answer in three; 300 runs, so .88 of .90 is within one standard error."""
    rng = np.random.default_rng(7)
    covered, errors = [], []
    for _ in range(300):
        people = (rng.random(250) < 0.7).astype(float)
        wrong = rng.random(250) < np.where(people == 0, 0.35, 0.03)
        judged = np.where(wrong, 1 - people, people)
        said = np.where(rng.permutation(250) < labels, people, np.nan)
        found = correct(readings(judged.tolist(), said.tolist()))
        assert found is not None
        reach = float(stdtrit(found.mean.freedom, 0.95)) * found.mean.error
        covered.append(abs(found.mean.mean - 0.7) <= reach)
        errors.append(found.mean.mean - 0.7)
    assert np.mean(covered) >= 0.88
    assert abs(np.mean(errors)) < 0.01
    assert math.sqrt(np.mean(np.square(errors))) < {25: 0.09, 100: 0.05}[labels]


def test_error_and_freedom_are_those_of_two_phase_sampling() -> None:
    """Eight cases, four labelled with residuals 0, -0.2, 0 and 0.2: each stands for two, and their mean is known by 3 degrees."""
    some = readings([1, 1, 0, 0, 1, 1, 0, 0], [1, 0.8, 0, 0.2] + [NOBODY] * 4)
    found = correct(some, trust=1.0)
    assert found is not None
    grown = 0.2 * 2 * math.sqrt(4 / 3)
    values = np.array([1, 1 - grown, 0, grown, 1, 1, 0, 0])
    pseudo = _PSEUDO / 4**2
    variance = values.var(ddof=1) / 8 + pseudo
    by_labels = 2 * 0.2**2 / 3 / 4 + pseudo
    assert found.mean.mean == pytest.approx(0.5)
    assert found.mean.error == pytest.approx(math.sqrt(variance))
    # Welch and Satterthwaite, with 3 degrees of freedom for the labels and 7 for the cases.
    joint = variance**2 / (by_labels**2 / 3 + (variance - by_labels) ** 2 / 7)
    assert 3 < joint < 7
    assert found.mean.freedom == pytest.approx(joint)


def test_trust_is_the_slope_of_peoples_scores_on_the_judges() -> None:
    assert trust_in(readings([0, 0.25, 0.75, 1], [0.1, 0.2, 0.4, 0.5])) == pytest.approx(0.4)
    assert trust_in(readings([0.4, 0.5, 0.6], [0.0, 0.5, 1.0])) == 1.0
