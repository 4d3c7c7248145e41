"""What may sway a judge besides the worth of an answer? The place where it stands, and its length."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

import numpy as np
from scipy.special import stdtrit

from harness.records import Completion, Result, Role, Run, ScorerSpec, Suite, record
from harness.verdict.intervals import CONFIDENCE, Interval
from harness.verdict.pairedtests import TINY, Floats
from harness.verdict.scores import rows_by_suite
from harness.verdict.sentences import count

FIRST_POSITION = "first_position_rate"
"""The measure of a comparison that says how often the answer shown first was named; see `pairwise`."""
CHARACTERS = 100
"""A slope is told per so many characters: a sentence or two."""
FEWEST_CASES = 10
"""On fewer cases a slope says nothing."""


@record
class Leaning:
    """How a judge leans in one suite, whatever it judges.

    `first_position` is the share of its verdicts for the answer shown first among those for either, mean over
    `pairs` trials: 0.5 without a bias. `length_slope` is how much the candidate's lead over the reference, -1..1, grows
    with each 100 characters that its answer is longer, by least squares over `cases`, with its two-sided 90 % interval.
    It is an association: the longer answer may be the better one. None where there is too little to say.
    """

    suite: str
    scorer: str
    first_position: float | None = None
    pairs: int = 0
    length_slope: float | None = None
    length_interval: Interval | None = None
    cases: int = 0


def leanings_of(run: Run, *, candidate: Role = "candidate", reference: Role) -> tuple[Leaning, ...]:
    """The leanings of every judged scorer of a run; none of those about which there is nothing to say."""
    if not run.manifest.judging:
        return ()
    rows = rows_by_suite(run.results)
    found = (
        _leaning(suite, spec, rows.get(suite.name, {}), roles=(candidate, reference))
        for suite in run.manifest.suites
        for spec in suite.scorers
        if f"{suite.name}: {spec.name}" in run.manifest.judging
    )
    return tuple(item for item in found if item.first_position is not None or item.length_slope is not None)


def describe_leaning(leaning: Leaning) -> Iterator[str]:
    """A leaning in words, without the suite: what a reader should hold against the judge's scores."""
    if leaning.first_position is not None:
        share = f"{leaning.first_position:.0%}".replace("%", " %")
        yield (
            f"{leaning.scorer}: the judge chose the answer shown first in {share} of its choices "
            f"on {count(leaning.pairs, 'pair')} (50 % without a bias)"
        )
    if leaning.length_slope is not None and leaning.length_interval is not None:
        low, high = leaning.length_interval
        verdict = "no more than chance" if low <= 0 <= high else "more than chance"
        yield (
            f"{leaning.scorer}: {CHARACTERS} more characters go with {100 * leaning.length_slope:+.1f} points for the candidate "
            f"(90 % interval {100 * low:+.1f} to {100 * high:+.1f}, {count(leaning.cases, 'case')}): {verdict}"
        )


def _leaning(
    suite: Suite, spec: ScorerSpec, rows: Mapping[Role, Sequence[Result]], *, roles: tuple[Role, Role]
) -> Leaning:
    candidate, reference = (rows.get(role, ()) for role in roles)
    places = [
        score.measures[FIRST_POSITION]
        for row in candidate
        if (score := row.scores.get(spec.name)) is not None and FIRST_POSITION in score.measures
    ]
    own, other = (_by_case(results, spec.name) for results in (candidate, reference))
    shared = [case for case in own if case in other]
    differences = np.array([np.subtract(own[case], other[case]) for case in shared]).reshape(-1, 2)
    slope, interval = _slope(differences[:, 1] / CHARACTERS, differences[:, 0])
    return Leaning(
        suite=suite.name,
        scorer=spec.name,
        first_position=fmean(places) if places else None,
        pairs=len(places),
        length_slope=slope,
        length_interval=interval,
        cases=len(shared),
    )


def _by_case(results: Sequence[Result], scorer: str) -> dict[str, tuple[float, float]]:
    """Each case's mean score and mean length in characters over its scored trials."""
    trials: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for row in results:
        score = row.scores.get(scorer)
        if score is not None and score.value is not None and isinstance(row.outcome, Completion):
            trials[row.case].append((score.value, len(row.outcome.text.strip())))
    return {
        case: (fmean(value for value, _ in seen), fmean(length for _, length in seen))
        for case, seen in trials.items()
    }


def _slope(lengths: Floats, leads: Floats) -> tuple[float, Interval] | tuple[None, None]:
    """The least-squares slope with its interval; None on few cases or answers of one length."""
    cases = len(lengths)
    spread = float(np.sum((lengths - lengths.mean()) ** 2)) if cases else 0.0
    if cases < FEWEST_CASES or spread < TINY:
        return None, None
    centred = lengths - lengths.mean()
    slope = float(centred @ leads) / spread
    residuals = leads - leads.mean() - slope * centred
    error = math.sqrt(float(residuals @ residuals) / (cases - 2) / spread)
    reach = float(stdtrit(cases - 2, (1 + CONFIDENCE) / 2)) * error
    return slope, (slope - reach, slope + reach)
