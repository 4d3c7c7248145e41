"""What must hold of every verdict, whatever the scores: hypothesis looks for the exception."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.records import SuiteRole, SuiteVerdict, Verdict
from harness.verdict import SuiteScores, decide, verdict_of
from tests.verdict.samples import answers, failure, run_of, suite_of

EXAMPLES = settings(max_examples=25)
NAN = float("nan")
GRADES = (0.0, 0.25, 0.5, 0.75, 1.0)
ROLES: tuple[SuiteRole, ...] = ("target", "guard", "critical", "info")


@st.composite
def suites(
    draw: st.DrawFn,
    *,
    name: str = "s",
    roles: Sequence[SuiteRole] = ROLES,
    grades: Sequence[float] = GRADES,
    trials: int = 3,
    gaps: bool = True,
) -> SuiteScores:
    """A suite of up to forty cases whose candidate may be far better, far worse or anything between."""
    cases = draw(st.integers(0, 40))
    seed, lift = draw(st.integers(0, 2**16)), draw(st.sampled_from([-0.6, -0.1, 0.0, 0.1, 0.6]))
    rng = np.random.default_rng(seed)
    shape = (cases, draw(st.integers(1, trials)))

    def answered(rate: float) -> np.ndarray:
        levels = np.asarray(grades)
        raw = np.clip(rate + 0.3 * rng.standard_normal((cases, 1)) + 0.2 * rng.standard_normal(shape), 0, 1)
        found = levels[np.argmin(np.abs(raw[..., None] - levels), axis=-1)]
        if gaps and draw(st.booleans()):
            found[rng.random(shape) < 0.2] = NAN
        return found

    families = rng.integers(0, 15, cases) if gaps and draw(st.booleans()) else None
    return SuiteScores(
        name=name,
        role=draw(st.sampled_from(roles)),
        margin=draw(st.none() | st.sampled_from([0.0, 0.05, 0.3, 1.0])),
        candidate=answered(min(max(0.5 + lift, 0), 1)),
        reference=answered(0.5),
        families=families,
    )


@st.composite
def models(draw: st.DrawFn, *, grades: Sequence[float] = GRADES, trials: int = 3) -> list[SuiteScores]:
    """A target and up to three other suites."""
    roles: list[tuple[SuiteRole, ...]] = [("target",)] + [ROLES] * draw(st.integers(0, 3))
    return [
        draw(suites(name=f"suite {number}", roles=allowed, grades=grades, trials=trials))
        for number, allowed in enumerate(roles)
    ]


def rows(suite: SuiteScores, order: np.ndarray, *, families: np.ndarray | None = None) -> SuiteScores:
    """The same suite with these rows, in this order."""
    kept = None if suite.families is None else suite.families[order]
    return replace(
        suite,
        candidate=suite.candidate[order],
        reference=suite.reference[order],
        families=kept if families is None else families,
    )


def swapped(suite: SuiteScores) -> SuiteScores:
    return replace(suite, candidate=suite.reference, reference=suite.candidate)


def only(suite: SuiteScores) -> SuiteVerdict:
    return decide([suite]).suites[suite.name]


def interval_of(suite: SuiteScores) -> tuple[float, float]:
    interval = only(suite).interval
    assert interval is not None
    return interval


def told(verdict: Verdict) -> tuple[object, ...]:
    """What a verdict decides and by which rule, without figures that differ by rounding."""
    judged = [*verdict.suites.values(), *([verdict.pooled] if verdict.pooled else [])]
    return (
        verdict.outcome,
        *((suite.name, suite.decision, suite.rule, suite.better, suite.worse) for suite in judged),
    )


# --- what must not matter --------------------------------------------------------------------------


@given(models(), st.randoms(use_true_random=False))
@EXAMPLES
def test_neither_the_order_of_cases_nor_that_of_trials_matters(
    model: list[SuiteScores], random: object
) -> None:
    shuffled = []
    for suite in model:
        order, columns = list(range(len(suite.candidate))), list(range(suite.candidate.shape[1]))
        random.shuffle(order)  # type: ignore[attr-defined]
        random.shuffle(columns)  # type: ignore[attr-defined]
        turned = rows(suite, np.array(order, dtype=np.int64))
        shuffled.append(
            replace(turned, candidate=turned.candidate[:, columns], reference=turned.reference[:, columns])
        )
    assert told(decide(shuffled)) == told(decide(model))


@given(models())
@EXAMPLES
def test_the_order_of_suites_does_not_matter(model: list[SuiteScores]) -> None:
    one, other = decide(model), decide(model[::-1])
    assert one.outcome == other.outcome
    assert {suite.name: suite.decision for suite in one.suites.values()} == {
        suite.name: suite.decision for suite in other.suites.values()
    }


@given(suites())
@EXAMPLES
def test_cases_that_nobody_scored_change_nothing_but_their_count(suite: SuiteScores) -> None:
    cases, trials = suite.candidate.shape
    unscored = np.full((3, trials), NAN)
    scored = np.ones((3, trials))
    longer = replace(
        suite,
        candidate=np.vstack([suite.candidate, unscored]),
        reference=np.vstack([suite.reference, scored]),
        families=None if suite.families is None else np.append(suite.families, [97, 98, 99]),
    )
    one, other = only(suite), only(longer)
    assert (one.decision, one.rule, one.interval, one.difference, one.cases) == (
        other.decision,
        other.rule,
        other.interval,
        other.difference,
        other.cases,
    )
    assert f"of {cases + 3} cases left out" in other.reason


@given(suites(gaps=False))
@EXAMPLES
def test_families_of_one_are_no_families(suite: SuiteScores) -> None:
    alone = replace(suite, families=np.arange(len(suite.candidate)) * 7)
    assert decide([alone]) == decide([suite])


@given(suites(gaps=False))
@EXAMPLES
def test_asking_the_same_again_makes_nothing_surer(suite: SuiteScores) -> None:
    """Trials that all say the same are one case, not several; the test of one yes or no is another one."""
    again = replace(
        suite, candidate=np.tile(suite.candidate, (1, 2)), reference=np.tile(suite.reference, (1, 2))
    )
    one, other = only(replace(suite, role="info")), only(replace(again, role="info"))
    assert other.interval == (None if one.interval is None else pytest.approx(one.interval, abs=1e-9))
    assert (one.cases, one.better, one.worse) == (other.cases, other.better, other.worse)


@given(suites(gaps=False))
@EXAMPLES
def test_copies_of_cases_prove_more_unless_they_are_of_one_family(suite: SuiteScores) -> None:
    cases = len(suite.candidate)
    if cases < 10:
        return
    suite = replace(suite, role="info")
    twice = np.tile(np.arange(cases), 2)
    copied, related = rows(suite, twice), rows(suite, twice, families=twice)
    one, more, same = only(suite), only(copied), only(related)
    assert more.difference == pytest.approx(one.difference)
    assert (more.better, more.worse) == (2 * one.better, 2 * one.worse)
    alone, doubled, kin = (np.ptp(interval_of(made)) for made in (suite, copied, related))
    assert doubled <= alone + 1e-9
    if same.rule.endswith("paired t"):
        assert kin == pytest.approx(alone, abs=1e-9)
    assert kin >= doubled - 1e-9


def test_an_answer_that_a_run_holds_twice_counts_once() -> None:
    suite = suite_of(20)
    results = [*answers(suite, [1.0] * 6 + [0.0] * 14), *answers(suite, [0.0] * 20, role="base")]
    once, twice = (verdict_of(run_of(suite, results=given)) for given in (results, [*results, *results]))
    assert (once.outcome, once.suites) == (twice.outcome, twice.suites)


# --- swapping --------------------------------------------------------------------------------------


@given(suites())
@EXAMPLES
def test_swapping_the_models_flips_the_difference(suite: SuiteScores) -> None:
    one, other = only(replace(suite, role="info")), only(replace(swapped(suite), role="info"))
    assert (one.better, one.worse) == (other.worse, other.better)
    if one.difference is not None:
        assert other.difference == pytest.approx(-one.difference, abs=1e-12)
    if one.interval is not None:
        assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]), abs=1e-9)


@given(models())
@EXAMPLES
def test_two_models_are_never_promoted_over_each_other(model: list[SuiteScores]) -> None:
    outcomes = {decide(model).outcome, decide([swapped(suite) for suite in model]).outcome}
    assert outcomes != {"promote"}


@given(suites(roles=("target",)))
@EXAMPLES
def test_what_wins_one_way_loses_the_other(suite: SuiteScores) -> None:
    one, other = only(suite), only(swapped(suite))
    assert (one.decision == "pass") == (other.decision == "fail")


# --- making a candidate worse ----------------------------------------------------------------------


@given(models(grades=(0.0, 1.0), trials=1), st.data())
@EXAMPLES
def test_a_candidate_that_answers_worse_is_not_promoted_for_it(
    model: list[SuiteScores], data: st.DataObject
) -> None:
    """Any answers of one yes or no each; with grades a t test may be surer of a smaller, evener gain."""
    model = [replace(suite, families=None) for suite in model]
    worsened = []
    for suite in model:
        hit = np.random.default_rng(data.draw(st.integers(0, 2**16))).random(suite.candidate.shape)
        share = data.draw(st.sampled_from([0.0, 0.05, 0.3, 1.0]))
        worsened.append(
            replace(
                suite,
                candidate=np.where((hit < share) & ~np.isnan(suite.candidate), 0.0, suite.candidate),
            )
        )
    if decide(worsened).outcome == "promote":
        assert decide(model).outcome == "promote"


@given(models(), st.sampled_from([0.01, 0.1, 0.4]))
@EXAMPLES
def test_a_candidate_that_is_evenly_worse_is_not_promoted_for_it(
    model: list[SuiteScores], loss: float
) -> None:
    """Scores of any kind and families, all of them lower by the same amount."""
    squeezed = [replace(suite, candidate=loss + (1 - loss) * suite.candidate) for suite in model]
    lowered = [replace(suite, candidate=suite.candidate - loss) for suite in squeezed]
    if decide(lowered).outcome == "promote":
        assert decide(squeezed).outcome == "promote"


# --- the edges -------------------------------------------------------------------------------------


@given(models())
@EXAMPLES
def test_a_model_that_is_its_own_reference_neither_wins_nor_loses(model: list[SuiteScores]) -> None:
    same = decide([replace(suite, reference=suite.candidate) for suite in model])
    assert same.outcome == "undecided"
    assert all(suite.decision != "fail" for suite in same.suites.values())


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("cases", [0, 1, 2, 10, 100])
def test_suites_on_which_everybody_scores_the_same_promote_nothing(
    role: SuiteRole, score: float, cases: int
) -> None:
    level = np.full((cases, 2), score)
    suite = SuiteScores(name="s", role=role, margin=None, candidate=level, reference=level)
    verdict = decide([suite])
    assert verdict.outcome == "undecided"
    assert verdict.suites["s"].difference == (0.0 if cases else None)


@pytest.mark.parametrize("cases", [1, 2, 30])
@pytest.mark.parametrize(
    ("lost", "outcomes"),
    [
        (("candidate",), {1: "undecided", 2: "undecided", 30: "hold"}),
        (("base",), {1: "undecided", 2: "undecided", 30: "undecided"}),
        (("candidate", "base"), {1: "undecided", 2: "undecided", 30: "undecided"}),
    ],
)
def test_a_side_that_never_answers_is_no_winner(
    cases: int, lost: Sequence[str], outcomes: dict[int, str]
) -> None:
    suite = suite_of(cases)
    results = [
        failure(suite, case, role=role) if role in lost else answers(suite, [1.0] * cases, role=role)[case]
        for role in ("candidate", "base")
        for case in range(cases)
    ]
    verdict = verdict_of(run_of(suite, results=results))
    assert verdict.outcome == outcomes[cases]
    assert any("never came" in reason for reason in verdict.reasons)


@given(
    st.lists(st.tuples(st.sampled_from(GRADES), st.sampled_from(GRADES)), max_size=4), st.sampled_from(ROLES)
)
@EXAMPLES
def test_up_to_four_cases_promote_nobody(pairs: list[tuple[float, float]], role: SuiteRole) -> None:
    both = np.array(pairs, dtype=float).reshape(-1, 2)
    suite = SuiteScores(name="s", role=role, margin=None, candidate=both[:, :1], reference=both[:, 1:])
    assert decide([suite]).outcome != "promote"


WIGGLES: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda rows: 1e-17 * rows,
    lambda rows: 1e-13 * rows,
    lambda rows: np.where(rows == 0, 1e-9, 0.0),
)


@pytest.mark.parametrize("wiggle", WIGGLES)
@pytest.mark.parametrize("role", ROLES)
def test_rounding_is_no_gain_and_no_harm(wiggle: Callable[[np.ndarray], np.ndarray], role: SuiteRole) -> None:
    reference = np.full((30, 1), 0.3)
    candidate = reference + wiggle(np.arange(30.0)[:, None])
    made = SuiteScores(name="s", role=role, margin=None, candidate=candidate, reference=reference)
    for suite in (made, swapped(made)):
        verdict = decide([suite])
        assert verdict.outcome == "undecided"
        assert verdict.suites["s"].decision != "fail"


@given(suites())
@EXAMPLES
def test_every_figure_is_a_number_on_its_scale(suite: SuiteScores) -> None:
    for judged in (only(suite), only(swapped(suite))):
        if judged.interval is None:
            assert judged.decision == "undecided"
            continue
        low, high = judged.interval
        assert judged.difference is not None
        assert -1 <= low <= judged.difference + 1e-9
        assert judged.difference - 1e-9 <= high <= 1
        assert judged.smallest_detectable is not None
        assert 0 < judged.smallest_detectable <= 1
        assert judged.cases_needed is None or judged.cases_needed > judged.cases
