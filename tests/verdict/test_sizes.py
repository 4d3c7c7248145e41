"""Is what would settle it true? Runs of the advised size, of models that differ as was seen, through the same `decide`."""

from dataclasses import replace

import numpy as np
import pytest

from harness.records import SuiteRole
from harness.verdict import SuiteScores, decide
from tests.verdict.samples import scores

RUNS = 400
# Two standard errors of a share of .8 in so many runs, and what a normal approximation of few discordant cases is off.
LOW, HIGH = 0.74, 0.9


def counted(
    role: SuiteRole, *, better: int, worse: int, cases: int, margin: float | None = None
) -> SuiteScores:
    """Yes and no outcomes: some cases better, some worse, the others as before."""
    candidate = [1.0] * better + [0.0] * worse + [1.0] * (cases - better - worse)
    reference = [0.0] * better + [1.0] * worse + [1.0] * (cases - better - worse)
    return scores("s", role, candidate=candidate, reference=reference, margin=margin)


def drawn(made: SuiteScores, cases: int, rng: np.random.Generator) -> SuiteScores:
    """A run of so many cases of the same kind: each one of those seen, drawn at random."""
    rows = rng.integers(0, len(made.candidate), size=cases)
    return replace(made, candidate=made.candidate[rows], reference=made.reference[rows])


def settled(made: list[SuiteScores], sizes: list[int], *, name: str) -> float:
    """The share of runs in which the finding is no longer undecided."""
    rng = np.random.default_rng(31)
    found = 0
    for _ in range(RUNS):
        verdict = decide([drawn(suite, size, rng) for suite, size in zip(made, sizes, strict=True)])
        suite = verdict.suites.get(name) or verdict.pooled
        assert suite is not None
        found += suite.decision != "undecided"
    return found / RUNS


@pytest.mark.parametrize(
    "made",
    [
        counted("target", better=5, worse=2, cases=60),
        counted("target", better=12, worse=7, cases=60),
        counted("target", better=3, worse=1, cases=14),
        scores(
            "s",
            "target",
            candidate=np.linspace(0.2, 1.0, 40),
            reference=np.clip(np.linspace(0.2, 1.0, 40) + 0.2 * np.sin(np.arange(40)) - 0.03, 0, 1),
        ),
        counted("critical", better=1, worse=1, cases=40, margin=0.05),
        counted("critical", better=3, worse=2, cases=100),
        scores(
            "s",
            "critical",
            margin=0.05,
            candidate=np.tile([0.9, 0.7, 1.0, 0.5], 12),
            reference=np.tile([0.8, 0.8, 0.9, 0.6], 12),
        ),
    ],
)
def test_the_advised_number_of_cases_settles_about_four_runs_in_five(made: SuiteScores) -> None:
    suite = decide([made]).suites["s"]
    assert suite.decision == "undecided"
    assert suite.cases_needed is not None
    assert LOW <= settled([made], [suite.cases_needed], name="s") <= HIGH


@pytest.mark.parametrize(
    "made",
    [
        scores(
            "s",
            "critical",
            margin=0.05,
            candidate=np.tile([0.9, 0.7, 1.0, 0.5], 12),
            reference=np.tile([0.8, 0.9, 0.9, 0.6], 12),
        ),
        counted("critical", better=0, worse=2, cases=60),
    ],
)
def test_where_a_loss_would_show_first_so_many_cases_are_advised_and_that_is_said(made: SuiteScores) -> None:
    verdict = decide([made])
    purchase = verdict.suites["s"].purchases[0]
    assert (purchase.kind, purchase.shows) == ("cases", "worse")
    assert "which will rather show a loss" in verdict.next_steps[-1]
    # Some of these runs are settled by proof of the opposite, so they may be more.
    assert settled([made], [purchase.needed], name="s") >= LOW


def test_of_two_targets_each_is_advised_what_it_needs_beside_the_other() -> None:
    made = [
        counted("target", better=6, worse=2, cases=60),
        replace(counted("target", better=2, worse=2, cases=60), name="other"),
    ]
    needed = decide(made).suites["s"].cases_needed
    assert needed is not None
    assert LOW <= settled(made, [needed, 60], name="s") <= HIGH


def test_all_guards_together_are_settled_by_their_share_of_the_advised_cases() -> None:
    made = [
        replace(counted("guard", better=1, worse=1, cases=40), name="a"),
        replace(counted("guard", better=2, worse=2, cases=60), name="b"),
    ]
    pooled = decide(made).pooled
    assert pooled is not None
    assert pooled.cases_needed is not None
    factor = pooled.cases_needed / pooled.cases
    sizes = [round(factor * 40), round(factor * 60)]
    assert LOW <= settled(made, sizes, name="all guards") <= HIGH


def noisy(rng: np.random.Generator, *, cases: int, trials: int, gain: float = 0.04) -> SuiteScores:
    """Cases that barely differ in difficulty, asked of models that answer at random: nearly all of the error is noise."""

    def outcomes(rate: float) -> np.ndarray:
        return (rng.random((cases, trials)) < rate).astype(float)

    return scores("s", "target", candidate=outcomes(0.5 + gain), reference=outcomes(0.5))


def test_the_advised_number_of_trials_settles_about_four_runs_in_five() -> None:
    """Over runs: each is advised from what it saw; of those advised a number near the right one, so many are settled."""
    rng = np.random.default_rng(32)
    # 2.487 standard errors: 100 cases of variance 2 * .25 / k, a gain of .08.
    right = 2.487**2 * 2 * 0.25 / (100 * 0.08**2)
    advised = []
    for _ in range(60):
        suite = decide([noisy(rng, cases=100, trials=3, gain=0.08)]).suites["s"]
        if suite.trials_needed is not None and suite.difference is not None:
            # The advice holds for the difference as seen; scaled to the true one all should agree.
            advised.append(suite.trials_needed * (suite.difference / 0.08) ** 2)
    assert len(advised) > 10
    assert np.median(advised) == pytest.approx(right, rel=0.15)
    trials = round(right)
    found = sum(
        decide([noisy(rng, cases=100, trials=trials, gain=0.08)]).outcome == "promote" for _ in range(RUNS)
    )
    assert LOW <= found / RUNS <= HIGH


def test_trials_of_models_that_always_say_the_same_are_never_advised() -> None:
    once = counted("target", better=5, worse=2, cases=60)
    same = replace(
        once, candidate=np.repeat(once.candidate, 3, axis=1), reference=np.repeat(once.reference, 3, axis=1)
    )
    suite = decide([same]).suites["s"]
    assert suite.trials_needed is None
    assert [purchase.kind for purchase in suite.purchases] == ["cases"]


def test_of_one_trial_nothing_is_known_about_further_ones() -> None:
    suite = decide([counted("target", better=5, worse=2, cases=60)]).suites["s"]
    assert suite.trials_needed is None


@pytest.mark.parametrize(
    "made",
    [
        counted("target", better=2, worse=2, cases=60),
        counted("target", better=2, worse=4, cases=60),
    ],
)
def test_where_nothing_was_seen_no_number_of_cases_is_advised(made: SuiteScores) -> None:
    verdict = decide([made])
    suite = verdict.suites["s"]
    assert (suite.decision, suite.cases_needed, suite.purchases) == ("undecided", None, ())
    assert "no number of cases is expected to" in verdict.next_steps[-1]
    # True: at twenty times the cases such models are no more often shown to be good than the tests err.
    rng = np.random.default_rng(33)
    shown = sum(
        decide([drawn(made, 20 * len(made.candidate), rng)]).suites["s"].decision == "pass"
        for _ in range(200)
    )
    assert shown / 200 <= 0.08


@pytest.mark.parametrize("better", [1, 3])
def test_what_a_suite_can_show_is_found_four_times_in_five(better: int) -> None:
    """`provable_margin`: an unchanged model with the same spread is proved at that margin."""
    made = counted("critical", better=better, worse=better, cases=60)
    margin = decide([made]).suites["s"].provable_margin
    assert margin is not None
    assert LOW <= settled([replace(made, margin=margin)], [60], name="s") <= HIGH
