"""How much evidence is enough: the smallest detectable difference, the cases or trials that would settle it.

A size is planned so that a run of that size, of models that truly differ as was seen, passes in 80 % of repeats
(`tests/verdict/test_sizes.py` measures it).
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from scipy.special import nctdtr, ndtr, ndtri, stdtrit

from harness.records import record
from harness.verdict.pairedtests import TINY, PairedDifference, augmented, tango_score

Test = Literal["paired t", "augmented t", "score"]

POWER = 0.8
"""The chance of success that sizes are planned for (Cohen 1988)."""
MOST_CASES = 100_000
"""A plan that needs more cases is none."""
MOST_TRIALS = 20
"""A plan that asks every case more often is none: past five trials a new case tells more than a repeat."""
_NORMAL_FREEDOM = 1000.0
"""With as many degrees of freedom the t test is the normal one to four digits."""
_HALVINGS = 30


@record
class Claim:
    """What is to be shown: that the true difference is above `threshold`, at the one-sided level `alpha`, by a test.

    `paired t`, `augmented t` (not worse than, any score), or `score`: Tango's test of yes/no outcomes.
    """

    threshold: float
    alpha: float
    test: Test = "paired t"


def planning_factor(alpha: float) -> float:
    """Standard errors between the null and a difference found with 80 % power: 2.487 at .05."""
    return float(ndtri(1 - alpha) + ndtri(POWER))


def smallest_detectable(difference: PairedDifference, *, alpha: float) -> float:
    """The true difference this many units would find with 80 % power, one-sided at `alpha`; at most 1."""
    used = augmented(difference) if difference.spread_unknown else difference
    return min(planning_factor(alpha) * used.error, 1.0)


def power(difference: PairedDifference, claim: Claim) -> float:
    """The chance that as many units again pass the test of `claim`, if the truth is what these show."""
    if claim.test == "score":
        return _score_power(difference, claim)
    if claim.test == "paired t" and not difference.spread_unknown:
        critical = float(stdtrit(difference.freedom, 1 - claim.alpha))
        return _t_power(difference, (difference.mean - claim.threshold) / difference.error, critical)
    used = augmented(difference, against=claim.threshold)
    critical = float(stdtrit(used.freedom, 1 - claim.alpha))
    over = used.mean - claim.threshold - critical * used.error
    return _chance(over, spread=difference.error * difference.units / (difference.units + 2))


def _t_power(difference: PairedDifference, centre: float, critical: float) -> float:
    if difference.freedom < _NORMAL_FREEDOM:
        missed = float(nctdtr(difference.freedom, centre, critical))
        if math.isfinite(missed):
            return 1 - missed
    return float(ndtr(centre - critical))


def _score_power(difference: PairedDifference, claim: Claim) -> float:
    """The power of Tango's score test: its statistic is the distance from the threshold over an error that depends on the rates."""
    units, mean = difference.units, difference.mean
    spread = difference.error * math.sqrt(units)
    discordant = spread**2 + mean**2
    better, worse = (units * max(discordant + sign * mean, 0.0) / 2 for sign in (1, -1))
    score = tango_score(claim.threshold, better=better, worse=worse, cases=units)
    gap = mean - claim.threshold
    if gap <= TINY or score <= 0:
        return 0.0
    critical = float(ndtri(1 - claim.alpha))
    return _chance(gap * (1 - critical / score), spread=difference.error)


def _chance(over: float, *, spread: float) -> float:
    """The chance that something that varies by `spread` stays above zero when it is `over` on average."""
    if spread <= TINY:
        return 1.0 if over >= -TINY else 0.0
    return float(ndtr(over / spread))


def scaled(difference: PairedDifference, factor: float) -> PairedDifference:
    """The same with `factor` times as many cases of the same kind."""
    return replace(
        difference,
        error=difference.error / math.sqrt(factor),
        units=difference.units * factor,
        # Of n plain cases there are n - 1.
        freedom=(difference.freedom + 1) * factor - 1,
    )


def repeated(difference: PairedDifference, *, noise: float, factor: float) -> PairedDifference:
    """The same with `factor` times as many trials of the same cases: only the `noise` in the squared error shrinks."""
    left = noise / factor
    return replace(difference, error=math.sqrt(max(difference.error**2 - noise + left, left)))


def cases_needed(difference: PairedDifference, claim: Claim, *, cases: int) -> int | None:
    """How many cases like these would settle it: the claim, true as seen, then passes with 80 % power.

    None when the mean is not above the threshold, or too little above it for any number up to `MOST_CASES`.
    """
    if difference.mean - claim.threshold <= TINY:
        return None
    return _smallest(
        lambda number: power(scaled(difference, number / cases), claim),
        above=cases,
        most=MOST_CASES,
    )


def trials_needed(
    difference: PairedDifference, claim: Claim, *, noise: float | None, trials: int
) -> int | None:
    """How often each of the same cases would have to be asked for that; None when no number up to `MOST_TRIALS` is enough.

    `noise` is the part of the squared error that comes from asking each case only so often, None when it is not known.
    """
    if noise is None or noise <= TINY or difference.mean - claim.threshold <= TINY:
        return None
    return _smallest(
        lambda number: power(repeated(difference, noise=noise, factor=number / trials), claim),
        above=trials,
        most=MOST_TRIALS,
    )


def provable_margin(difference: PairedDifference, *, alpha: float, test: Test = "augmented t") -> float:
    """The smallest loss that as many units as these rule out with 80 % power when nothing changed; at most 1.

    Of what was seen only the error counts, not the mean.
    """
    unchanged = replace(difference, mean=0.0)
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        shown = power(unchanged, Claim(threshold=-middle, alpha=alpha, test=test)) >= POWER
        low, high = (low, middle) if shown else (middle, high)
    return high


def _smallest(chance: Callable[[int], float], *, above: int, most: int) -> int | None:
    """The smallest number above `above` and at most `most` whose chance is `POWER`; None without any."""
    low, high = above, above + 1
    while chance(high) < POWER:
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) >= POWER else (middle, high)
    return high
