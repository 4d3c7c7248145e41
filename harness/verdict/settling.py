"""What would settle what is undecided? More cases or more trials, how many, and the smallest difference there is to see."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from harness.records import Purchase, Run, SuiteVerdict, Verdict, record
from harness.verdict.calibration import ENOUGH_LABELS
from harness.verdict.costs import asking_cost, priced
from harness.verdict.pairedtests import FEWEST_FAMILIES, Floats, PairedDifference
from harness.verdict.planning import (
    Claim,
    Test,
    cases_needed,
    provable_margin,
    smallest_detectable,
    trials_needed,
)
from harness.verdict.pooled import POOLED, POOLED_MARGIN, pooled_difference, tested_guards
from harness.verdict.rules import CRITICAL_LEVEL, DISTRUSTED, Evidence
from harness.verdict.sentences import count, listed, points

MODELS = 2
"""Who is asked every case at least: the candidate and its reference."""
Shown = Literal["better", "safe", "worse"]
FAR = 10
"""Where so many times the cases are needed, training again is the better bet."""
UNWRITTEN = 1.1
"""Trials may take so many times the requests of new cases and still be offered first: nobody has to write them."""


@record
class Plan:
    """What is planned with for one suite: the difference, the claim, its answers, and how much of the error is noise.

    A suite that fails once a loss is sure fails at `harm_level`, one-sided; None where that is not the question.
    """

    difference: PairedDifference
    claim: Claim
    cases: int
    trials: int
    answers: int
    noise: float | None
    harm_level: float | None = None


def with_outlook(
    suites: Mapping[str, SuiteVerdict], evidence: Sequence[Evidence], *, alpha: float
) -> dict[str, SuiteVerdict]:
    """The suites' verdicts, each with what would settle it and what it can show at all."""
    weighed = {suite.name: suite for suite in evidence}
    targets = sum(suite.scores.role == "target" and suite.difference is not None for suite in evidence)
    # Of several targets the best must beat a share of the level (Holm), so that is what each is planned for.
    levels = {"target": alpha / max(targets, 1), "critical": min(CRITICAL_LEVEL, alpha)}
    return {
        name: _with_plan(suite, plan)
        if (plan := _plan(weighed[name], level=levels.get(suite.role, alpha), alpha=alpha))
        else suite
        for name, suite in suites.items()
    }


def with_pooled_outlook(
    pooled: SuiteVerdict | None, evidence: Sequence[Evidence], *, alpha: float
) -> SuiteVerdict | None:
    """The same for all guards together, which gain cases in proportion to what they have."""
    guards = tested_guards(evidence)
    if pooled is None or not guards:
        return pooled
    plans = [plan for suite in guards if (plan := _plan(suite, level=alpha, alpha=alpha))]
    shares = [suite.scores.weight / sum(guard.scores.weight for guard in guards) for suite in guards]
    noises = [plan.noise for plan in plans]
    known = [share**2 * noise for share, noise in zip(shares, noises, strict=True) if noise is not None]
    alike = len({plan.trials for plan in plans}) == 1
    plan = Plan(
        difference=pooled_difference(guards),
        claim=Claim(threshold=-POOLED_MARGIN, alpha=alpha, test="augmented t"),
        cases=pooled.cases,
        trials=plans[0].trials,
        answers=sum(plan.answers for plan in plans),
        noise=sum(known) if alike and len(known) == len(noises) else None,
        harm_level=alpha,
    )
    return _with_plan(pooled, plan)


def with_costs(suite: SuiteVerdict, run: Run, *, names: Sequence[str]) -> SuiteVerdict:
    """The verdict with its purchases at what the answers of this run took, in the suites `names`."""
    if not suite.purchases:
        return suite
    cost = asking_cost(run, names)
    return replace(suite, purchases=tuple(priced(purchase, cost) for purchase in suite.purchases))


# --- in words --------------------------------------------------------------------------------------


def settle_all(suites: Sequence[SuiteVerdict]) -> Iterator[str]:
    """A sentence for each open suite. Where one target may still be shown to improve, those that may not need no word."""
    hopeful = any(suite.role == "target" and suite.purchases for suite in suites)
    for suite in suites:
        if not (hopeful and suite.role == "target" and suite.interval and not suite.purchases):
            yield _settle(suite)


def _settle(suite: SuiteVerdict) -> str:
    """What would settle one suite, in a sentence."""
    name = suite.name
    if suite.rule == DISTRUSTED:
        return f"make the question to the judge of {name} clearer, or take another judge, and label anew"
    if suite.interval is None:
        return f"see that {name} has two independent cases or more that both models get a score for"
    if not suite.purchases:
        return f"train again: {_hopeless(suite)}{_limit(suite)}"
    first, *others = suite.purchases
    said = f"{_offer(first, suite)}{_limit(suite)}"
    if first.shows == "worse" or first.needed > FAR * first.now:
        said = f"train again, or {said}"
    return "; or ".join([said, *(_offer(other, suite) for other in others)])


def unlabelled(verdict: Verdict, run: Run) -> Iterator[str]:
    """A step for the judged suites that this verdict rests on although nobody checked their judge."""
    judged = {name.partition(": ")[0] for name in run.manifest.judging}
    labelled = {label.suite for label in run.labels}
    names = [
        suite.name
        for suite in verdict.suites.values()
        if suite.role != "info" and suite.name in judged - labelled and suite.difference is not None
    ]
    if names:
        yield f"label {ENOUGH_LABELS} answers of {listed(names)}, as nobody checked the judge yet: harness label {run.manifest.id}"


def _hopeless(suite: SuiteVerdict) -> str:
    if suite.role == "target":
        return f"no number of cases is expected to show an improvement in {suite.name}"
    return f"no number of cases is expected to rule out a loss of {points(suite.margin or 0.0)} in {_short(suite)}"


def _offer(purchase: Purchase, suite: SuiteVerdict) -> str:
    more = purchase.needed - purchase.now
    labelled = ", labelled alike" if suite.rule.endswith("corrected by labels") else ""
    if purchase.kind == "cases":
        what = f"ask about {count(more, 'more case')} like those of {_short(suite)}{labelled}"
    else:
        what = f"ask each case of {_short(suite)} {purchase.needed} times instead of {purchase.now}, without new cases"
    worse = ", which will rather show a loss" if purchase.shows == "worse" else ""
    return f"{what}{worse}: {_price(purchase)}"


def _price(purchase: Purchase) -> str:
    """`about 480 requests, 0.42 USD and 31,000 tokens of models without a price`."""
    parts = []
    if purchase.cost_usd is not None:
        parts.append("under 0.01 USD" if purchase.cost_usd < 0.01 else f"{purchase.cost_usd:,.2f} USD")
    if purchase.tokens is not None:
        unpriced = " of models without a price" if parts else ""
        parts.append(count(purchase.tokens, "token") + unpriced)
    at_least = "at least " if purchase.is_partial and parts else ""
    money = f", {at_least}{' and '.join(parts)}" if parts else ""
    return f"about {count(purchase.requests, 'request')}{money}"


def _short(suite: SuiteVerdict) -> str:
    return "the guards" if suite.name == POOLED else suite.name


def describe_reach(suite: SuiteVerdict) -> str:
    """The smallest difference that the cases of a suite are enough for: `can show a gain of 10 points or more`."""
    if suite.role == "target" and suite.smallest_detectable is not None:
        return f"can show a gain of {points(suite.smallest_detectable)} or more"
    if suite.role != "target" and suite.provable_margin is not None:
        return f"can rule out a loss of {points(suite.provable_margin)} or more"
    return ""


def _limit(suite: SuiteVerdict) -> str:
    reach = describe_reach(suite)
    return f" (the {count(suite.cases, 'case')} of this run {reach})" if reach else ""


# --- plans -----------------------------------------------------------------------------------------


def _plan(suite: Evidence, *, level: float, alpha: float) -> Plan | None:
    """None where no test is made, or none that more of the same could settle."""
    role = suite.scores.role
    if suite.difference is None or role == "info" or (role == "critical" and suite.margin == 0):
        return None
    test: Test = "score" if suite.paired.binary else "augmented t"
    safe = Claim(threshold=-suite.margin, alpha=level, test=test)
    return Plan(
        difference=suite.difference,
        claim=Claim(threshold=0.0, alpha=level) if role == "target" else safe,
        cases=suite.cases,
        trials=suite.scores.candidate.shape[1],
        answers=MODELS * suite.scores.candidate.size,
        noise=noise_of(suite),
        harm_level=alpha if role == "critical" else None,
    )


def _with_plan(suite: SuiteVerdict, plan: Plan) -> SuiteVerdict:
    level, test = plan.claim.alpha, plan.claim.test
    found = replace(
        suite,
        smallest_detectable=smallest_detectable(plan.difference, alpha=level),
        provable_margin=None
        if suite.role == "target"
        else provable_margin(plan.difference, alpha=level, test=test),
        spread=plan.difference.error * math.sqrt(suite.cases),
    )
    if suite.decision != "undecided":
        return found
    purchases = tuple(_purchases(plan, shows="better" if suite.role == "target" else "safe"))
    needed = {purchase.kind: purchase.needed for purchase in purchases}
    return replace(
        found,
        cases_needed=needed.get("cases"),
        trials_needed=needed.get("trials"),
        purchases=purchases,
    )


def _purchases(plan: Plan, *, shows: Shown) -> Iterator[Purchase]:
    """What settles it, the cheaper first: what it takes grows with the answers of now."""
    cases = cases_needed(plan.difference, plan.claim, cases=plan.cases)
    if plan.harm_level is not None:
        loss = replace(plan.difference, mean=-plan.difference.mean)
        claim = Claim(threshold=0.0, alpha=plan.harm_level)
        sooner = cases_needed(loss, claim, cases=plan.cases)
        if sooner is not None and (cases is None or sooner < cases):
            cases, shows = sooner, "worse"
            plan = replace(plan, difference=loss, claim=claim)
    trials = trials_needed(plan.difference, plan.claim, noise=plan.noise, trials=plan.trials)
    offers: list[tuple[float, Purchase]] = []
    if trials is not None:
        offers.append((1.0, _purchase(plan, "trials", needed=trials, shows=shows)))
    if cases is not None:
        offers.append((UNWRITTEN, _purchase(plan, "cases", needed=cases, shows=shows)))
    yield from (offer for _, offer in sorted(offers, key=lambda pair: pair[0] * pair[1].requests))


def _purchase(plan: Plan, kind: Literal["cases", "trials"], *, needed: int, shows: Shown) -> Purchase:
    now = plan.cases if kind == "cases" else plan.trials
    requests = math.ceil((needed - now) * plan.answers / now)
    return Purchase(kind=kind, shows=shows, needed=needed, now=now, requests=requests)


def noise_of(suite: Evidence) -> float | None:
    """The part of the squared error of the mean difference that more trials of the same cases would remove.

    Each side's variance within cases over its trials. None where a side was asked once, so that nothing is known of it, and
    where people labelled single trials, which repeats would not add to.
    """
    if suite.calibration is not None:
        return None
    parts = []
    for values in (suite.scores.candidate, suite.scores.reference):
        within = _within(values[suite.paired.known])
        if within is None:
            return None
        parts.append(within)
    weights = _case_weights(suite)
    return float(np.sum(weights**2 * (parts[0] + parts[1])))


def _within(values: Floats) -> Floats | None:
    """The variance of each case's mean over its trials, shape (cases,); of a case seen once, by what the others show."""
    trials = np.sum(~np.isnan(values), axis=1)
    several = trials > 1
    if not several.any():
        return None
    variances = np.full(len(values), np.nan)
    variances[several] = np.nanvar(values[several], axis=1, ddof=1)
    variances[~several] = np.mean(variances[several])
    means: Floats = variances / np.maximum(trials, 1)
    return means


def _case_weights(suite: Evidence) -> Floats:
    """How much each case counts in the mean difference; shape (cases,)."""
    families = suite.paired.families
    if families is not None:
        _, member_of = np.unique(families, return_inverse=True)
        sizes = np.bincount(member_of)
        if len(sizes) < FEWEST_FAMILIES:
            weights: Floats = 1.0 / (len(sizes) * sizes[member_of])
            return weights
    return np.full(suite.cases, 1.0 / suite.cases)
