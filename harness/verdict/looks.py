"""Is there a point in asking on? A run stops at a look only where its verdict would not usefully change.

It stops when all that promotion asks for is shown, when the candidate is shown to be worse, and when the rest of
the cases is not expected to show what is still to be shown. The first two are decided by `decide` at the levels of the
look. The third one claims nothing: a run that stops for it is undecided, and a run that goes on in spite of it is wrong
no more often.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from scipy.special import ndtri

from harness.records import Verdict
from harness.verdict.boundaries import WHOLE
from harness.verdict.migration import as_guards
from harness.verdict.pairedtests import p_above, p_augmented
from harness.verdict.pooled import POOLED, POOLED_MARGIN, look_together, pooled_difference, tested_guards
from harness.verdict.rules import HARM_LEVEL, Evidence, judge_suites, p_within, weigh
from harness.verdict.scores import SuiteScores
from harness.verdict.sentences import count, listed, points

SHARES = (0.25, 0.5, 0.75, 1.0)
"""The shares of the cases at the looks."""
FUTILE = (-0.5, 0.0, 0.5)
"""Standard errors by which the evidence at a look must at least speak for what is to be shown. Stopping below
them saves 40 % of the calls of an unchanged model and costs 2 points of power at 100 cases (docs/statistics.md)."""


def look_sizes(groups: Iterable[int]) -> tuple[int, ...]:
    """How many cases are asked before each look, where groups of these sizes are asked one after the other, each whole."""
    ends = [0]
    for size in groups:
        ends.append(ends[-1] + size)
    # A share of a hundred cases must not ask one more for a rounding error.
    wanted = [math.ceil(share * ends[-1] - 1e-9) for share in SHARES]
    return tuple(next(end for end in ends if end >= least) for least in wanted)


def why_stop(scores: Sequence[SuiteScores], verdict: Verdict) -> str | None:
    """Why nothing more need be asked, in a clause; None where the run should go on.

    Args:
        scores: The suites at one look, each with it in `look`.
        verdict: What `decide` says of them, with what else the run asks for.
    """
    suites = as_guards(scores) if verdict.goal == "migration" else scores
    if verdict.outcome == "promote":
        return None if _shows_harm(suites) else "what there is to show is shown"
    if verdict.outcome == "hold":
        return "the other cases could not make up for what was found"
    hopeless = list(_hopeless([weigh(suite) for suite in suites]))
    return f"the other cases are not expected to show that {listed(hopeless)}" if hopeless else None


def _shows_harm(scores: Sequence[SuiteScores]) -> bool:
    """Whether a suite would be called harmed if these were all cases: too little to hold for, too much to promote over.

    A promotion that did not wait for it let a model with one guard 10 points down through 9 times in 100 instead of 4
    (docs/statistics.md).
    """
    guards = [weigh(replace(suite, look=WHOLE)) for suite in scores if suite.role == "guard"]
    return any(suite.decision == "fail" for suite in judge_suites(guards, alpha=HARM_LEVEL).values())


def _hopeless(evidence: Sequence[Evidence]) -> Iterator[str]:
    """What promotion asks for and this run is not expected to show."""
    targets = [suite for suite in evidence if suite.scores.role == "target"]
    if targets and all(_is_futile(suite, _p_better(suite)) for suite in targets):
        yield f"{listed([suite.name for suite in targets]).replace(' and ', ' or ')} improved"
    for suite in evidence:
        if suite.scores.role == "critical" and suite.margin and _is_futile(suite, _p_safe(suite)):
            yield f"{suite.name} loses less than {points(suite.margin)}"
    guards = tested_guards(evidence)
    if guards and _falls_short(
        p_augmented(pooled_difference(guards), -POOLED_MARGIN), number=look_together(guards).number
    ):
        yield f"{POOLED} together lose less than {points(POOLED_MARGIN)}"


def _p_better(suite: Evidence) -> float | None:
    return None if suite.difference is None else p_above(suite.difference)


def _p_safe(suite: Evidence) -> float | None:
    return None if suite.difference is None else p_within(suite, suite.difference)


def _is_futile(suite: Evidence, p: float | None) -> bool:
    """Too few cases for a test say nothing yet."""
    return p is not None and _falls_short(p, number=suite.scores.look.number)


def _falls_short(p: float, *, number: int) -> bool:
    return number <= len(FUTILE) and float(-ndtri(p)) < FUTILE[number - 1]


def stop_sentence(why: str, *, seen: int, cases: int) -> str:
    """The reason of a run that stopped early."""
    return f"stopped early after {seen:,} of {count(cases, 'case')}: {why}"
