"""What does one suite say? The rule of each role.

A target must be better than chance explains. A guard must show no harm, and all guards together
must be shown to lose less than the pooled margin. A critical suite must be shown to lose less than
its own margin. A suite for information is reported.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from harness.records import Decision, SuiteVerdict, record
from harness.verdict.calibration import USELESS_KAPPA, Calibration, calibrate
from harness.verdict.intervals import CONFIDENCE, Interval, augmented_interval, t_interval, tango_interval
from harness.verdict.pairedtests import (
    FEWEST_FAMILIES,
    PairedDifference,
    holm,
    p_above,
    p_augmented,
    p_below,
    p_tango,
    paired_difference,
)
from harness.verdict.planning import smallest_detectable
from harness.verdict.scores import PairedScores, SuiteScores, pair_scores
from harness.verdict.sentences import count, gain, movement, percent, points, seen, signed

GUARD_MARGIN = 0.05
"""The loss a guard may have when it declares none: what 100 cases asked three times can show."""
CRITICAL_MARGIN = 0.02
"""The loss a critical suite may have when it declares none."""
HARM_LEVEL = 0.10
"""The chance that any harmless guard is called harmed (Holm over all guards). Five percent for
each without correction holds more good models: 63 % of them promoted, against 78 % this way (simulated,
six guards of 100 cases)."""
CRITICAL_LEVEL = 0.025
"""One-sided level at which a critical suite must prove its margin, as in medical non-inferiority trials
(ICH E9, 5.5)."""
DROP_FACTOR = 3.0
"""A fall of more than this many margins is harm whatever the test says."""
DISTRUSTED = "judge not trusted"
"""The rule of a suite whose judge and people agree too little."""
ROUNDING = 1e-9


@record
class Evidence:
    """One suite's scores, paired, and their mean difference (None when no test is possible).

    Where people labelled a judge's answers, `calibration` has what they say, and the difference is the corrected one;
    there is none when they and the judge agree too little.
    """

    scores: SuiteScores
    paired: PairedScores
    difference: PairedDifference | None
    calibration: Calibration | None = None

    @property
    def name(self) -> str:
        """The suite's name."""
        return self.scores.name

    @property
    def margin(self) -> float:
        """The largest acceptable loss: declared, or the role's default."""
        default = CRITICAL_MARGIN if self.scores.role == "critical" else GUARD_MARGIN
        return default if self.scores.margin is None else self.scores.margin

    @property
    def cases(self) -> int:
        """Cases with a score on both sides."""
        return len(self.paired.candidate)

    @property
    def means(self) -> tuple[float, float]:
        """The mean score of the candidate and of the reference, as people would have them where they labelled some."""
        if self.calibration is None:
            return float(np.mean(self.paired.candidate)), float(np.mean(self.paired.reference))
        return self.calibration.candidate.mean.mean, self.calibration.reference.mean.mean

    @property
    def confidence(self) -> float:
        """The two-sided level of an interval that is `CONFIDENCE` over all looks."""
        return 1 - 2 * self.level((1 - CONFIDENCE) / 2)

    def level(self, level: float) -> float:
        """What a one-sided level is at the look that this is; the same where a suite is judged once."""
        return self.scores.look.level(level)

    @property
    def distrusted(self) -> bool:
        """Whether people and the judge agree too little for anything to rest on the judge."""
        return self.calibration is not None and self.calibration.trust == "none"


@record
class Finding:
    """What a rule found in a suite. `level` is the one-sided level it worked at."""

    decision: Decision
    rule: str
    reason: str
    interval: Interval
    level: float


Judge = Callable[[Evidence, PairedDifference], Finding]


def weigh(scores: SuiteScores) -> Evidence:
    """Pair one suite's scores and summarise their differences, corrected where people labelled some."""
    paired = pair_scores(scores)
    difference = paired_difference(paired.differences, families=paired.families)
    calibration = None
    if paired.people is not None:
        calibration = calibrate(
            paired.candidate, paired.reference, people=paired.people, families=paired.families
        )
    if difference is None or calibration is None:
        return Evidence(scores=scores, paired=paired, difference=difference)
    # Corrected differences are no yes or no, whatever the judge's are.
    return Evidence(
        scores=scores,
        paired=replace(paired, binary=False),
        difference=None if calibration.trust == "none" else calibration.difference.mean,
        calibration=calibration,
    )


def judge_suites(evidence: Sequence[Evidence], *, alpha: float) -> dict[str, SuiteVerdict]:
    """Each suite's verdict by name; several targets, and several guards, share one error rate (Holm)."""
    targets = [suite for suite in evidence if suite.scores.role == "target"]
    guards = [suite for suite in evidence if suite.scores.role == "guard"]
    wins = _significant(targets, test=p_above, level=alpha)
    harms = _significant(guards, test=p_below, level=HARM_LEVEL)
    judges: dict[str, Judge] = {
        "target": partial(_judge_target, wins=wins, several=len(targets) > 1, alpha=alpha),
        "guard": partial(_judge_guard, harms=harms, several=len(guards) > 1, alpha=alpha),
        "critical": partial(_judge_critical, alpha=alpha),
        "info": partial(_report, alpha=alpha),
    }
    return {
        suite.name: _untested(suite)
        if suite.difference is None
        else _tested(suite, suite.difference, finding=judges[suite.scores.role](suite, suite.difference))
        for suite in evidence
    }


def _significant(
    suites: Sequence[Evidence], *, test: Callable[[PairedDifference], float], level: float
) -> frozenset[str]:
    tested = [(suite, test(suite.difference)) for suite in suites if suite.difference is not None]
    holds = holm([p for _, p in tested], level=level, at_look=[suite.level for suite, _ in tested])
    return frozenset(suite.name for (suite, _), held in zip(tested, holds, strict=True) if held)


# --- the four roles --------------------------------------------------------------------------------


def _judge_target(
    suite: Evidence, difference: PairedDifference, *, wins: frozenset[str], several: bool, alpha: float
) -> Finding:
    interval = t_interval(difference, confidence=suite.confidence)
    rule = t_rule(suite, difference, corrected=several)
    if suite.name in wins:
        reason = (
            f"{suite.name} {gain(difference.mean, interval)} {seen(interval, suite.cases)}: "
            "more than chance explains"
        )
        return Finding(decision="pass", rule=rule, reason=reason, interval=interval, level=alpha)
    if p_below(difference) <= suite.level(alpha):
        return _harmed(suite, difference, rule=t_rule(suite, difference), level=alpha)
    outlook = "chance alone could explain that" if difference.mean > ROUNDING else "no improvement was seen"
    if several and p_above(difference) <= alpha:
        outlook = "among several targets chance alone could explain one such gain"
    reason = f"{moved(suite, difference, interval)}: {outlook}"
    return Finding(decision="undecided", rule=rule, reason=reason, interval=interval, level=alpha)


def _judge_guard(
    suite: Evidence, difference: PairedDifference, *, harms: frozenset[str], several: bool, alpha: float
) -> Finding:
    if suite.name in harms:
        return _harmed(suite, difference, rule=t_rule(suite, difference, corrected=several), level=alpha)
    return _judge_margin(suite, difference, level=alpha)


def _judge_critical(suite: Evidence, difference: PairedDifference, *, alpha: float) -> Finding:
    if suite.margin == 0:
        return _judge_new_failures(suite, difference, alpha=alpha)
    if p_below(difference) <= suite.level(alpha):
        return _harmed(suite, difference, rule=t_rule(suite, difference), level=alpha)
    return _judge_margin(suite, difference, level=min(CRITICAL_LEVEL, alpha))


def _judge_new_failures(suite: Evidence, difference: PairedDifference, *, alpha: float) -> Finding:
    """A critical suite with margin 0 may not have one case worse than before."""
    worse, cases = suite.paired.worse, count(suite.cases, "case")
    # Labels correct means; what became of a single case only the judge has for all of them.
    cases += " in the judge's eyes" if suite.calibration is not None else ""
    # The exact one-sided bound on a rate of which nothing was seen (Clopper & Pearson 1934).
    hidden = 1 - alpha ** (1 / suite.cases)
    found = partial(Finding, rule="no new failure", interval=_interval(suite, difference), level=alpha)
    if worse:
        return found(
            decision="fail", reason=f"{suite.name} is worse on {worse} of {cases}, and may be on none"
        )
    reason = f"{suite.name} is worse on none of {cases} (new failures in up to {percent(hidden)} of such cases could hide)"
    return found(decision="pass" if suite.scores.look.is_last else "undecided", reason=reason)


def _judge_margin(suite: Evidence, difference: PairedDifference, *, level: float) -> Finding:
    """Fell much too far; or shown to lose less than the margin; or neither."""
    margin, interval = suite.margin, _interval(suite, difference)
    what = moved(suite, difference, interval)
    found = partial(Finding, interval=interval, level=level)
    # On the first cases of several looks chance alone makes such falls.
    if suite.scores.look.is_last and difference.mean < -DROP_FACTOR * margin - ROUNDING:
        reason = f"{what}: more than {DROP_FACTOR:.0f} times the {points(margin)} it may lose"
        return found(decision="fail", rule="point drop", reason=reason)
    rule = "Tango score test" if suite.paired.binary else with_families("augmented t", suite)
    if p_within(suite, difference) < suite.level(level):
        return found(decision="pass", rule=rule, reason=f"{what}: a loss of {points(margin)} is ruled out")
    said = "no sign of harm" if difference.mean >= 0 else "chance alone could explain that"
    left = f"a loss of {points(margin)} is not ruled out" if margin else "whether it lost anything is open"
    reason = f"{what}: {said}, but {left}"
    return found(decision="undecided", rule=rule, reason=reason)


def _report(suite: Evidence, difference: PairedDifference, *, alpha: float) -> Finding:
    interval = t_interval(difference, confidence=suite.confidence)
    reason = f"{moved(suite, difference, interval)}; reported only"
    rule = t_rule(suite, difference)
    return Finding(decision="undecided", rule=rule, reason=reason, interval=interval, level=alpha)


# --- parts -----------------------------------------------------------------------------------------


def moved(suite: Evidence, difference: PairedDifference, interval: Interval) -> str:
    """What the suite's score did, on how many cases."""
    return f"{suite.name} {movement(difference.mean, interval)} {seen(interval, suite.cases)}"


def t_rule(suite: Evidence, difference: PairedDifference, *, corrected: bool = False) -> str:
    """The name of the t test that a suite's differences call for."""
    name = with_families("augmented t" if difference.spread_unknown else "paired t", suite)
    return f"Holm-corrected {name}" if corrected else name


def with_families(rule: str, suite: Evidence) -> str:
    """A test's name with how it treats cases that are not independent, and scores that people corrected."""
    if suite.paired.families is not None:
        rule = f"{rule} on family means" if _few_families(suite) else f"cluster-robust {rule}"
    return rule if suite.calibration is None else f"{rule}, corrected by labels"


def _few_families(suite: Evidence) -> bool:
    return (
        suite.paired.families is not None
        and suite.difference is not None
        and suite.difference.units < FEWEST_FAMILIES
    )


def p_within(suite: Evidence, difference: PairedDifference) -> float:
    """One-sided p value that the loss is smaller than the margin."""
    paired = suite.paired
    if paired.binary:
        return p_tango(-suite.margin, better=paired.better, worse=paired.worse, cases=suite.cases)
    return p_augmented(difference, -suite.margin)


def _interval(suite: Evidence, difference: PairedDifference) -> Interval:
    """The interval of the test that `p_within` applies."""
    paired = suite.paired
    if paired.binary:
        return tango_interval(
            better=paired.better, worse=paired.worse, cases=suite.cases, confidence=suite.confidence
        )
    return augmented_interval(difference, confidence=suite.confidence)


def _harmed(suite: Evidence, difference: PairedDifference, *, rule: str, level: float) -> Finding:
    interval = t_interval(difference, confidence=suite.confidence)
    # A guard is harmed by less certain a loss than its interval is made for.
    how_sure = "more than chance explains" if interval[1] < 0 else "chance alone would rarely do that"
    reason = f"{suite.name} {gain(difference.mean, interval)} {seen(interval, suite.cases)}: {how_sure}"
    return Finding(decision="fail", rule=rule, reason=reason, interval=interval, level=level)


def _tested(suite: Evidence, difference: PairedDifference, *, finding: Finding) -> SuiteVerdict:
    paired = suite.paired
    return SuiteVerdict(
        name=suite.name,
        role=suite.scores.role,
        decision=finding.decision,
        rule=finding.rule,
        reason=finding.reason + _reservations(suite),
        cases=suite.cases,
        candidate=suite.means[0],
        reference=suite.means[1],
        difference=difference.mean,
        interval=finding.interval,
        margin=suite.margin if suite.scores.role in ("guard", "critical") else None,
        better=paired.better,
        worse=paired.worse,
        smallest_detectable=smallest_detectable(difference, alpha=finding.level),
    )


def _untested(suite: Evidence) -> SuiteVerdict:
    """Fewer than two independent units, or a judge nobody may trust: what was seen is reported, and no test is made."""
    paired, cases = suite.paired, suite.cases
    if suite.distrusted:
        reason = (
            f"{suite.name} proves nothing: its judge and people agree too little "
            f"(agreement {_kappa(suite)} of 1, at least {USELESS_KAPPA:.2f} is asked)"
        )
    elif cases == 0:
        reason = f"{suite.name} has no case with a score for both models"
    elif cases == 1:
        reason = f"{suite.name} has one case with a score for both models, and a test needs two"
    else:
        reason = f"{suite.name}: all {cases} cases are of one family, so chance cannot be judged"
    return SuiteVerdict(
        name=suite.name,
        role=suite.scores.role,
        decision="undecided",
        rule=DISTRUSTED if suite.distrusted else "none",
        reason=reason + _reservations(suite),
        cases=cases,
        candidate=suite.means[0] if cases else None,
        reference=suite.means[1] if cases else None,
        difference=suite.means[0] - suite.means[1] if cases else None,
        margin=suite.margin if suite.scores.role in ("guard", "critical") else None,
        better=paired.better,
        worse=paired.worse,
    )


def _kappa(suite: Evidence) -> str:
    """The agreement of people and judge, where there was anything to disagree on."""
    if suite.calibration is None or suite.calibration.kappa is None:
        return "unknown"
    return f"{suite.calibration.kappa:.2f}"


def _reservations(suite: Evidence) -> str:
    """What the reader should know about the data: people's labels, cases left out, families too few."""
    said = []
    if suite.calibration is not None and not suite.distrusted:
        by_judge = signed(suite.calibration.raw[2])
        said.append(
            f"corrected by labels on {count(suite.calibration.labels, 'case')}; by the judge alone {by_judge}, agreement {_kappa(suite)} of 1"
        )
    if suite.paired.left_out:
        said.append(
            f"{suite.paired.left_out} of {count(suite.cases + suite.paired.left_out, 'case')} left out, without a score"
        )
    if suite.paired.partly:
        said.append(
            f"{count(suite.paired.partly, 'case')} judged by some trials only, the others being without a score"
        )
    if _few_families(suite):
        said.append("families too few to treat one by one, so the means of the families were compared")
    return f" ({'; '.join(said)})" if said else ""
