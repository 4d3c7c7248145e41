"""What can a suite be expected to show, before anybody was asked? Whether its cases are enough for its margin."""

import math

from harness.records import Suite, record
from harness.verdict.pairedtests import PairedDifference
from harness.verdict.planning import Claim, Test, cases_needed, power, provable_margin
from harness.verdict.promotion import ALPHA
from harness.verdict.rules import CRITICAL_LEVEL, CRITICAL_MARGIN, GUARD_MARGIN
from harness.verdict.scores import families_of

BASE_RATE = 0.95
"""The share of a guard's cases that the reference is taken to be good at: what must not suffer is mostly right."""
CORRELATION = 0.43
"""How much two models' outcomes on the same prompts go together: the median of 15 pairs of models whose answers people
judged on 939 prompts (Do-Not-Answer, Wang et al. 2023)."""
BETWEEN = 0.3
"""The share of the differences' variance, at one trial, that lies between cases and stays however often each is asked
(simulated with models of that correlation)."""
LIKELY = 0.5
"""With a smaller chance to show its margin in a model that lost nothing a suite is warned of."""
_FEWEST_UNITS = 2


@record
class Support:
    """How well a suite supports its margin, planned for a model that lost nothing.

    `units` are its independent cases, or its families; `chance` is the chance that such a model is proved to lose less than
    `margin`, `provable` the smallest margin that is proved with 80 %, `needed` how many units would do so for the suite's own
    margin, None where no number does.
    """

    margin: float
    units: int
    by_family: bool
    chance: float
    provable: float
    needed: int | None

    @property
    def is_enough(self) -> bool:
        """Whether the margin is more likely shown than not."""
        return self.chance >= LIKELY


def planned_spread(suite: Suite) -> float:
    """The standard deviation of a case's difference to plan with: yes or no outcomes, see the constants above."""
    # Asked the same again at temperature 0 a model says the same again.
    trials = 1 if suite.sampling.temperature == 0 else suite.trials
    once = 2 * BASE_RATE * (1 - BASE_RATE) * (1 - CORRELATION)
    return math.sqrt(once * (BETWEEN + (1 - BETWEEN) / trials))


def margin_support(suite: Suite) -> Support | None:
    """What a guard's or a critical suite's cases are enough for; None where no margin has to be proved.

    Planned with `planned_spread` and not with what an earlier run showed: how far another candidate strayed from the reference
    says little about the next one, and the warning would come and go with it.
    """
    if suite.role not in ("guard", "critical") or (suite.role == "critical" and suite.margin == 0):
        return None
    default = CRITICAL_MARGIN if suite.role == "critical" else GUARD_MARGIN
    margin = default if suite.margin is None else suite.margin
    level = CRITICAL_LEVEL if suite.role == "critical" else ALPHA
    families = families_of(suite, [case.id for case in suite.cases])
    units = len(suite.cases) if families is None else len(set(families))
    # One scorer is taken to say yes or no, several to have values in between.
    plain = suite.trials == 1 and len(suite.scorers) == 1 and families is None
    test: Test = "score" if plain else "augmented t"
    claim = Claim(threshold=-margin, alpha=level, test=test)
    each = planned_spread(suite)
    known = _unchanged(units, each)
    return Support(
        margin=margin,
        units=units,
        by_family=families is not None,
        chance=power(known, claim) if units >= _FEWEST_UNITS else 0.0,
        provable=provable_margin(known, alpha=level, test=test),
        needed=cases_needed(_unchanged(_FEWEST_UNITS, each), claim, cases=_FEWEST_UNITS),
    )


def _unchanged(units: int, spread: float) -> PairedDifference:
    """A model that lost nothing, on so many units."""
    units = max(units, _FEWEST_UNITS)
    return PairedDifference(mean=0.0, error=spread / math.sqrt(units), units=units, freedom=units - 1)
