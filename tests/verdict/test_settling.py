"""What is planned with, what is offered and in which order, and how it is said."""

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.records import Purchase, SuiteRole, SuiteVerdict
from harness.verdict import decide
from harness.verdict.pooled import POOLED
from harness.verdict.rules import DISTRUSTED, Evidence, weigh
from harness.verdict.settling import describe_reach, noise_of, settle_all
from tests.verdict.samples import scores

NAN = float("nan")


def asked(candidate: object, reference: object, *, families: list[int] | None = None) -> Evidence:
    made = scores(
        "s", "guard", candidate=np.array(candidate), reference=np.array(reference), families=families
    )
    return weigh(made)


def open_suite(role: SuiteRole = "target", **changes: object) -> SuiteVerdict:
    suite = SuiteVerdict(
        name="routing",
        role=role,
        decision="undecided",
        rule="paired t",
        reason="routing rose by 2 points",
        cases=60,
        interval=(-0.02, 0.06),
    )
    return replace(suite, **changes)  # type: ignore[arg-type]


def bought(**changes: object) -> Purchase:
    purchase = Purchase(kind="cases", shows="better", needed=100, now=60, requests=80)
    return replace(purchase, **changes)  # type: ignore[arg-type]


def told(suite: SuiteVerdict) -> str:
    (sentence,) = settle_all([suite])
    return sentence


# --- how much of the error is noise ------------------------------------------------------------------


def test_noise_is_each_sides_variance_within_cases_over_its_trials() -> None:
    # Variances 0.5 and 0 on one side, 0 and 0.5 on the other; of a mean of two trials half of it; two cases of weight 1/2.
    evidence = asked([[0.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]])
    assert noise_of(evidence) == pytest.approx((0.5 / 2 + 0.5 / 2) / 4)


def test_a_case_seen_once_is_as_noisy_as_the_others_are_on_average() -> None:
    once = asked([[0.0, 1.0], [1.0, 1.0], [1.0, NAN]], np.zeros((3, 2)))
    assert noise_of(once) == pytest.approx((0.5 / 2 + 0.0 + 0.25 / 1) / 9)


def test_nothing_is_known_of_the_noise_where_a_side_was_asked_once() -> None:
    assert noise_of(asked([[0.0], [1.0]], [[0.0], [0.0]])) is None
    assert noise_of(asked([[0.0, 1.0], [1.0, 1.0]], [[0.0, NAN], [0.0, NAN]])) is None


def test_cases_without_a_score_make_no_noise() -> None:
    whole = asked([[0.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]])
    holed = asked([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 1.0], [NAN, NAN]])
    assert noise_of(holed) == noise_of(whole)


def test_of_few_families_each_counts_alike_and_shares_out_its_weight() -> None:
    values = [[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0]]
    evidence = asked(values, np.zeros((4, 2)), families=[7, 7, 7, 9])
    assert noise_of(evidence) == pytest.approx((0.5 / 2 + 0.5 / 2) * (1 / (2 * 3)) ** 2)


def test_of_many_families_each_case_counts_alike() -> None:
    rng = np.random.default_rng(0)
    values = (rng.random((60, 2)) < 0.5).astype(float)
    apart = asked(values, np.zeros((60, 2)))
    together = asked(values, np.zeros((60, 2)), families=[n // 2 for n in range(60)])
    assert noise_of(together) == noise_of(apart)


# --- what is offered ---------------------------------------------------------------------------------


def random_trials(gain: float, *, cases: int, seed: int) -> SuiteVerdict:
    """Models that answer at random, three times."""
    rng = np.random.default_rng(seed)
    new, old = ((rng.random((cases, 3)) < 0.5 + up).astype(float) for up in (gain, 0.0))
    return decide([scores("chat", "target", candidate=new, reference=old)]).suites["chat"]


def test_requests_are_what_is_missing_for_both_models_in_all_trials() -> None:
    suite = random_trials(0.04, cases=200, seed=11)
    by_kind = {purchase.kind: purchase for purchase in suite.purchases}
    assert set(by_kind) == {"cases", "trials"}
    cases, trials = by_kind["cases"], by_kind["trials"]
    assert (cases.now, trials.now) == (200, 3)
    assert cases.requests == (cases.needed - 200) * 3 * 2
    assert trials.requests == (trials.needed - 3) * 200 * 2
    assert (suite.cases_needed, suite.trials_needed) == (cases.needed, trials.needed)
    assert {purchase.shows for purchase in suite.purchases} == {"better"}


def test_trials_are_offered_first_unless_they_take_a_tenth_more_requests_than_cases() -> None:
    seen = set()
    for seed in range(12):
        offers = random_trials(0.04, cases=200, seed=seed).purchases
        if len(offers) == 2:
            of = {purchase.kind: purchase.requests for purchase in offers}
            assert offers[0].kind == ("trials" if of["trials"] <= 1.1 * of["cases"] else "cases")
            seen.add(offers[0].kind)
    assert "trials" in seen


def test_a_critical_suite_that_falls_is_sooner_shown_to_be_worse() -> None:
    suite = scores("safety", "critical", candidate=[0.0] * 3 + [1.0] * 97, reference=[1.0] * 98 + [0.0] * 2)
    judged = decide([suite]).suites["safety"]
    assert judged.decision == "undecided"
    (offer,) = judged.purchases
    assert (offer.shows, offer.kind) == ("worse", "cases")
    assert "train again, or ask about" in told(judged)
    assert ", which will rather show a loss: about" in told(judged)


def test_the_spread_is_the_standard_deviation_of_a_cases_difference() -> None:
    values = [1.0, 1.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    suite = scores(
        "s", "target", candidate=np.maximum(values, 0), reference=np.maximum(np.negative(values), 0)
    )
    assert decide([suite]).suites["s"].spread == pytest.approx(np.std(values, ddof=1))


def test_of_several_targets_each_is_planned_for_its_share_of_the_level() -> None:
    one = scores("a", "target", candidate=[1.0] * 5 + [0.0] * 55, reference=[0.0] * 58 + [1.0] * 2)
    alone = decide([one]).suites["a"].smallest_detectable
    among = decide([one, replace(one, name="b")]).suites["a"].smallest_detectable
    assert alone is not None
    # z(.95) + z(.8) against z(.975) + z(.8).
    assert among == pytest.approx(alone * (1.959964 + 0.841621) / (1.644854 + 0.841621), rel=1e-5)


def test_more_of_a_suite_that_may_lose_nothing_or_is_for_information_settles_nothing() -> None:
    same = [1.0] * 60
    nothing = decide([scores("a", "critical", candidate=same, reference=same, margin=0.0)]).suites["a"]
    info = decide([scores("a", "info", candidate=same, reference=same)]).suites["a"]
    for suite in (nothing, info):
        assert (suite.spread, suite.purchases, suite.provable_margin) == (None, (), None)


# --- in words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purchase", "said"),
    [
        (bought(), "about 80 requests"),
        (bought(requests=1), "about 1 request"),
        (bought(cost_usd=0.0099), "about 80 requests, under 0.01 USD"),
        (bought(cost_usd=0.01), "about 80 requests, 0.01 USD"),
        (bought(cost_usd=1234.5), "about 80 requests, 1,234.50 USD"),
        (bought(tokens=31_000), "about 80 requests, 31,000 tokens"),
        (
            bought(cost_usd=0.42, tokens=31_000),
            "about 80 requests, 0.42 USD and 31,000 tokens of models without a price",
        ),
        (bought(cost_usd=0.42, is_partial=True), "about 80 requests, at least 0.42 USD"),
        (bought(is_partial=True), "about 80 requests"),
    ],
)
def test_a_price_says_what_is_known_of_it(purchase: Purchase, said: str) -> None:
    assert told(open_suite(purchases=(purchase,))) == f"ask about 40 more cases like those of routing: {said}"


def test_trials_are_offered_without_new_cases_and_the_other_offer_after_it() -> None:
    trials = bought(kind="trials", needed=5, now=3, requests=240)
    assert told(open_suite(purchases=(trials, bought()))) == (
        "ask each case of routing 5 times instead of 3, without new cases: about 240 requests; "
        "or ask about 40 more cases like those of routing: about 80 requests"
    )


def test_beyond_ten_times_the_cases_training_again_is_said_first() -> None:
    ten = told(open_suite(purchases=(bought(needed=600),)))
    more = told(open_suite(purchases=(bought(needed=601),)))
    assert ten.startswith("ask about 540 more cases")
    assert more.startswith("train again, or ask about 541 more cases")


def test_cases_of_a_corrected_suite_are_to_be_labelled_too() -> None:
    suite = open_suite(purchases=(bought(),), rule="paired t, corrected by labels")
    assert "40 more cases like those of routing, labelled alike" in told(suite)


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        (open_suite(), "train again: no number of cases is expected to show an improvement in routing"),
        (
            open_suite("critical", margin=0.02),
            "train again: no number of cases is expected to rule out a loss of 2 points in routing",
        ),
        (
            open_suite("guard", margin=0.03, name=POOLED, cases=1, provable_margin=0.125),
            (
                "train again: no number of cases is expected to rule out a loss of 3 points in the guards"
                " (the 1 case of this run can rule out a loss of 12 points or more)"
            ),
        ),
        (
            open_suite(interval=None),
            "see that routing has two independent cases or more that both models get a score for",
        ),
        (
            open_suite(rule=DISTRUSTED, interval=None),
            "make the question to the judge of routing clearer, or take another judge, and label anew",
        ),
    ],
)
def test_where_nothing_can_be_bought_it_says_what_to_do(suite: SuiteVerdict, said: str) -> None:
    assert told(suite) == said


def test_a_hopeless_target_is_passed_over_beside_one_with_hope() -> None:
    hopeless, hopeful = open_suite(name="trips"), open_suite(purchases=(bought(),))
    assert list(settle_all([hopeless, hopeful])) == [told(hopeful)]
    untested = open_suite(name="trips", interval=None)
    assert list(settle_all([untested, hopeful])) == [told(untested), told(hopeful)]
    guard = open_suite("guard", name="marv", margin=0.05)
    assert list(settle_all([guard, hopeful])) == [told(guard), told(hopeful)]
    safe = open_suite("guard", purchases=(bought(shows="safe"),))
    assert list(settle_all([hopeless, safe])) == [told(hopeless), told(safe)]


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        (open_suite(smallest_detectable=0.1, provable_margin=0.2), "can show a gain of 10 points or more"),
        (
            open_suite("guard", smallest_detectable=0.1, provable_margin=0.04),
            "can rule out a loss of 4 points or more",
        ),
        (open_suite(provable_margin=0.2), ""),
        (open_suite("critical", smallest_detectable=0.1), ""),
    ],
)
def test_what_the_cases_can_show_depends_on_the_role(suite: SuiteVerdict, said: str) -> None:
    assert describe_reach(suite) == said


def test_all_guards_together_are_planned_with_all_their_answers() -> None:
    rng = np.random.default_rng(1)
    guards = [
        scores(
            name,
            "guard",
            candidate=(rng.random((cases, 2)) < 0.8).astype(float),
            reference=(rng.random((cases, 2)) < 0.8).astype(float),
        )
        for name, cases in (("a", 40), ("b", 60))
    ]
    verdict = decide(guards)
    pooled = verdict.pooled
    assert pooled is not None
    assert pooled.cases == 100
    for purchase in pooled.purchases:
        now = 100 if purchase.kind == "cases" else 2
        assert purchase.now == now
        assert purchase.requests == math.ceil((purchase.needed - now) * 2 * 2 * 100 / now)
