"""How did one model do on each suite, with nothing to compare it with? The mean score and how well it is known."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.special import ndtri, stdtrit

from harness.records import Result, Suite, SuiteMark
from harness.verdict.comparison import mean_score
from harness.verdict.intervals import CONFIDENCE, Interval, wilson
from harness.verdict.pairedtests import TINY, Floats, Ints, paired_difference
from harness.verdict.scores import families_of


def marks_of(results: Iterable[Result], suites: Sequence[Suite]) -> tuple[SuiteMark, ...]:
    """A mark for each suite, of all the trials among one model's results; the suites' cases are those that were asked.

    Trials are averaged first, then cases. A case that was not answered or not scored is no number: `unscored` counts it.
    """
    rows: defaultdict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        rows[result.suite, result.case].append(result)
    return tuple(
        mark_of(
            suite,
            {
                case.id: score
                for case in suite.cases
                if (score := mean_score(suite, rows.get((suite.name, case.id), ()))) is not None
            },
        )
        for suite in suites
    )


def mark_of(suite: Suite, scores: Mapping[str, float]) -> SuiteMark:
    """The mark of one suite from its cases' scores, trials averaged; a case without one is left out of `scores`."""
    known = tuple(case.id for case in suite.cases if case.id in scores)
    unscored = len(suite.cases) - len(known)
    if not known:
        return SuiteMark(suite=suite.name, mean=None, unscored=unscored)
    values = np.array([scores[case] for case in known])
    low, high = mean_interval(values, families=families_of(suite, known))
    return SuiteMark(
        suite=suite.name,
        mean=float(np.mean(values)),
        low=low,
        high=high,
        cases=len(known),
        unscored=unscored,
    )


def mean_interval(
    values: Floats, *, families: Ints | None = None, confidence: float = CONFIDENCE
) -> Interval:
    """The two-sided interval of the mean of some cases' scores in 0..1, at least one of them, shape (cases,).

    Wilson's, of so many yes/no answers as would leave the mean as uncertain as it is: their number follows from
    the standard error, in which cases of one family count together, and is cut by (normal / t quantile)² for the
    error being estimated (Korn & Graubard 1998). Plain yes/no scores are counted as they are.
    """
    mean = float(np.mean(values))
    spread = paired_difference(values, families=families)
    if families is None and bool(np.isin(values, (0.0, 1.0)).all()):
        return wilson(float(np.sum(values)), len(values), confidence=confidence)
    units = spread.units if spread is not None else 1.0
    if spread is None or spread.error <= TINY:
        return wilson(mean * units, units, confidence=confidence)
    share = float(ndtri((1 + confidence) / 2) / stdtrit(spread.freedom, (1 + confidence) / 2)) ** 2
    answers = mean * (1 - mean) / spread.error**2 * share
    return wilson(mean * answers, answers, confidence=confidence)
