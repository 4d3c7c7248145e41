"""Is a declared condition met? One metric of the candidate, absolute or against the reference."""

import difflib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from harness.records import Completion, Decision, Failure, Gate, GateFinding, Result, Role, Suite, record
from harness.verdict.calibration import Calibration
from harness.verdict.classification import (
    LABEL,
    MACRO_F1,
    ClassifiedCases,
    classified_cases,
    figures_of,
    macro_f1_scorer,
    readings_of,
    why_no_interval,
)
from harness.verdict.comparison import ROUNDING, case_score
from harness.verdict.corrections import Corrected
from harness.verdict.f1_scores import macro_f1_bounds
from harness.verdict.intervals import RATE_CONFIDENCE, Interval, t_interval, wilson
from harness.verdict.sentences import count

RATE_SUFFIX = "_rate"
"""A measure whose name ends so is within 0..1; any other may be any number."""

Reader = Callable[[Result], float | None]


@record
class Metric:
    """One metric over all cases of a suite for one role.

    `value` is the mean of the cases that have one; `low` and `high` are what the mean over all
    cases could be, whatever the missing ones turned out to be. `missing` counts those by the reason;
    `note` says why an interval that one would expect is missing.
    """

    role: Role
    value: float | None
    low: float
    high: float
    missing: Mapping[str, int]
    interval: Interval | None
    note: str = ""


@record
class Condition:
    """One bound of a gate. `of` is what a ratio refers to, None for an absolute bound."""

    bound: float
    at_least: bool
    of: Metric | None = None

    def __str__(self) -> str:
        """`at least 0.85`, `at most 0.6 times that of base`."""
        side = "at least" if self.at_least else "at most"
        return f"{side} {self.bound:g}" + (f" times that of {self.of.role}" if self.of else "")


def judge_gate(
    suite: Suite,
    gate: Gate,
    *,
    results: Mapping[Role, Sequence[Result]],
    reference: Role,
    calibration: Calibration | None = None,
) -> GateFinding:
    """Compare the candidate's mean over all cases of `suite` with the bounds of `gate`.

    Trials are averaged first, then cases. A case without a value is never taken for a number: it
    leaves the gate undecided, unless the metric is within 0..1 and no value could change the answer.

    Args:
        suite: The suite that declares the gate.
        gate: The metric and its bounds; all of them must hold.
        results: The suite's results by role.
        reference: The role that ratios refer to.
        calibration: What people's labels make of the metric.
    """
    measured = _measured(suite, gate.metric, results=results, reference=reference)
    if isinstance(measured, str) or gate == Gate(metric=gate.metric):
        problem = measured if isinstance(measured, str) else "names no bound"
        reason = f"{suite.name}: {gate.metric} {problem}"
        return GateFinding(suite=suite.name, gate=gate, decision="undecided", reason=reason)
    candidate, other = measured
    if calibration is not None:
        candidate = _corrected(candidate, calibration.candidate)
        other = _corrected(other, calibration.reference)
    judged = [(_decide(candidate, condition), condition) for condition in _conditions(gate, other)]
    # The answer of the gate is that of its worst condition.
    for decision in ("fail", "undecided", "pass"):
        conditions = [condition for found, condition in judged if found == decision]
        if conditions:
            break
    sentence = _sentence(gate.metric, candidate, conditions, decision=decision)
    if calibration is not None:
        sentence += f" (corrected by labels on {count(calibration.labels, 'case')})"
    distrusted = calibration is not None and calibration.trust == "none"
    if distrusted:
        sentence += "; its judge and people agree too little to decide by"
    return GateFinding(
        suite=suite.name,
        gate=gate,
        decision="undecided" if distrusted else decision,
        reason=f"{suite.name}: {sentence}",
        value=candidate.value,
        reference=other.value,
        interval=candidate.interval,
    )


def _corrected(metric: Metric, corrected: Corrected) -> Metric:
    """The metric as people would have it; what missing cases could change moves with it."""
    if metric.value is None:
        return metric
    value = min(max(corrected.mean.mean, 0.0), 1.0)
    moved = value - metric.value
    low, high = t_interval(corrected.mean, confidence=RATE_CONFIDENCE)
    return replace(
        metric,
        value=value,
        low=max(metric.low + moved, 0.0),
        high=min(metric.high + moved, 1.0),
        interval=(max(low, 0.0), min(high, 1.0)),
    )


def describe_gate(gate: Gate) -> str:
    """A gate in words: `label at least 0.85`, `tokens at most 0.6 times the reference's`."""
    bounds = (
        (gate.at_least, "at least {:g}"),
        (gate.at_most, "at most {:g}"),
        (gate.at_least_ratio, "at least {:g} times the reference's"),
        (gate.at_most_ratio, "at most {:g} times the reference's"),
    )
    return " ".join([gate.metric, *(words.format(bound) for bound, words in bounds if bound is not None)])


# --- what is measured ------------------------------------------------------------------------------


def _measured(
    suite: Suite, metric: str, *, results: Mapping[Role, Sequence[Result]], reference: Role
) -> tuple[Metric, Metric] | str:
    """A metric of the candidate and of the reference, or why there is none."""
    if (spec := macro_f1_scorer(suite, metric)) and (classified := classified_cases(suite, spec)):
        return (
            _macro_f1(classified, results.get("candidate", ()), role="candidate"),
            _macro_f1(classified, results.get(reference, ()), role=reference),
        )
    rows = [result for role in ("candidate", reference) for result in results.get(role, ())]
    reader = _reader(suite, metric, rows)
    if reader is None:
        return _unknown_metric(suite, metric, rows)
    bounded = _is_bounded(suite, metric)
    return (
        _measure(suite, results, role="candidate", reader=reader, bounded=bounded),
        _measure(suite, results, role=reference, reader=reader, bounded=bounded),
    )


def _macro_f1(classified: ClassifiedCases, results: Sequence[Result], *, role: Role) -> Metric:
    readings = readings_of(classified, results)
    figures = figures_of(classified, readings)
    low, high = macro_f1_bounds(readings)
    rows = defaultdict(list)
    for result in results:
        rows[result.case].append(result)
    trials = max([classified.suite.trials, *map(len, rows.values())])
    lacking = [case for case, lost in zip(classified.cases, readings.missing, strict=True) if lost > ROUNDING]
    return Metric(
        role=role,
        value=figures.macro_f1,
        low=low,
        high=high,
        missing=Counter(_why_missing(rows[case], trials=trials) for case in lacking),
        interval=figures.interval,
        note=why_no_interval(classified, readings.known) if figures.macro_f1 is not None else "",
    )


def _total_tokens(completion: Completion) -> float | None:
    usage = completion.usage
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return usage.prompt_tokens + usage.completion_tokens


_OF_COMPLETION: Mapping[str, Callable[[Completion], float | None]] = {
    "completion_tokens": lambda completion: completion.usage.completion_tokens,
    "latency_s": lambda completion: completion.latency_s,
    "prompt_tokens": lambda completion: completion.usage.prompt_tokens,
    "tokens": _total_tokens,
}


def _reader(suite: Suite, metric: str, rows: Sequence[Result]) -> Reader | None:
    """How to read `metric` from one result; None when nothing reports it."""
    if metric in {spec.name for spec in suite.scorers}:
        return lambda result: score.value if (score := result.scores.get(metric)) else None
    if metric == "score":
        return lambda result: case_score(suite, result)
    if (of_completion := _OF_COMPLETION.get(metric)) is not None:
        return lambda result: None if isinstance(result.outcome, Failure) else of_completion(result.outcome)
    # `words.length` where two scorers report a length; a suite that leaves that open is refused when it loads.
    scorer, _, measure = metric.rpartition(".")
    named = [spec for spec in suite.scorers if spec.name == scorer]
    for spec in named or suite.scorers:
        wanted = measure if named else metric
        if any(wanted in row.scores[spec.name].measures for row in rows if spec.name in row.scores):
            return _measure_of(spec.name, wanted)
    return None


def _measure_of(scorer: str, measure: str) -> Reader:
    return lambda result: score.measures.get(measure) if (score := result.scores.get(scorer)) else None


def _is_bounded(suite: Suite, metric: str) -> bool:
    return (
        metric == "score" or metric in {spec.name for spec in suite.scorers} or metric.endswith(RATE_SUFFIX)
    )


def _unknown_metric(suite: Suite, metric: str, rows: Sequence[Result]) -> str:
    scorers = {spec.name for spec in suite.scorers}
    measures = {name for row in rows for score in row.scores.values() for name in score.measures}
    of_labels = {MACRO_F1} if any(spec.type == LABEL for spec in suite.scorers) else set()
    known = sorted({"score", *_OF_COMPLETION, *scorers, *measures, *of_labels})
    near = difflib.get_close_matches(metric, known, n=1)
    return "is reported by nothing; " + (
        f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    )


def _measure(
    suite: Suite, results: Mapping[Role, Sequence[Result]], *, role: Role, reader: Reader, bounded: bool
) -> Metric:
    rows: defaultdict[str, list[Result]] = defaultdict(list)
    for result in results.get(role, ()):
        rows[result.case].append(result)
    trials = max([suite.trials, *(len(asked) for asked in rows.values())])
    means, lows, highs = [], [], []
    missing: Counter[str] = Counter()
    for case in suite.cases:
        values = [value for result in rows[case.id] if (value := reader(result)) is not None]
        lacking = trials - len(values)
        if values:
            means.append(math.fsum(values) / len(values))
        if lacking:
            missing[_why_missing(rows[case.id], trials=trials)] += 1
        lows.append(math.fsum(values) / trials)
        highs.append((math.fsum(values) + lacking) / trials)
    cases = len(suite.cases)
    known = cases > 0 and (bounded or not missing)
    binary = bool(means) and all(mean in (0.0, 1.0) for mean in means)
    return Metric(
        role=role,
        value=math.fsum(means) / len(means) if means else None,
        low=math.fsum(lows) / cases if known else -math.inf,
        high=math.fsum(highs) / cases if known else math.inf,
        missing=missing,
        interval=wilson(sum(means), len(means)) if bounded and binary else None,
    )


def _why_missing(rows: Sequence[Result], *, trials: int) -> str:
    failures = [row.outcome for row in rows if isinstance(row.outcome, Failure)]
    if any(failure.kind != "not_asked" for failure in failures):
        return "not answered"
    return "not asked" if failures or len(rows) < trials else "unscored"


# --- what is decided -------------------------------------------------------------------------------


def _conditions(gate: Gate, reference: Metric) -> list[Condition]:
    bounds = (
        (gate.at_least, True, None),
        (gate.at_most, False, None),
        (gate.at_least_ratio, True, reference),
        (gate.at_most_ratio, False, reference),
    )
    return [
        Condition(bound=bound, at_least=at_least, of=of)
        for bound, at_least, of in bounds
        if bound is not None
    ]


def _decide(candidate: Metric, condition: Condition) -> Decision:
    """Pass or fail only if it would stand whatever the missing values are."""
    if candidate.value is None or (condition.of is not None and condition.of.value is None):
        return "undecided"
    low = condition.bound * (condition.of.low if condition.of else 1.0)
    high = condition.bound * (condition.of.high if condition.of else 1.0)
    if condition.at_least:
        holds, broken = candidate.low >= high - ROUNDING, candidate.high < low - ROUNDING
    else:
        holds, broken = candidate.high <= low + ROUNDING, candidate.low > high + ROUNDING
    return "pass" if holds else "fail" if broken else "undecided"


def _sentence(metric: str, candidate: Metric, conditions: Sequence[Condition], *, decision: Decision) -> str:
    asked = " and ".join(str(condition) for condition in conditions)
    parts = [f"{metric} is {_value(candidate)}"]
    references = {condition.of.role: condition.of for condition in conditions if condition.of is not None}
    parts += [f"that of {role} is {_value(other)}" for role, other in references.items()]
    parts.append(f"{asked} is asked" if decision != "fail" else f"{asked} is asked: not met")
    parts += dict.fromkeys(filter(None, (side.note for side in (candidate, *references.values()))))
    absent = "; ".join(filter(None, (_absent(side) for side in (candidate, *references.values()))))
    if absent:
        effect = "which leaves this open" if decision == "undecided" else "which cannot change this"
        parts.append(f"{absent}, {effect}")
    return "; ".join(parts)


def _value(metric: Metric) -> str:
    if metric.value is None:
        return "unknown"
    if metric.interval is None:
        return f"{metric.value:.4g}"
    return f"{metric.value:.4g} (likely {metric.interval[0]:.2f} to {metric.interval[1]:.2f})"


def _absent(metric: Metric) -> str:
    said = ", ".join(f"{count(number, 'case')} {why}" for why, number in sorted(metric.missing.items()))
    return f"{metric.role}: {said}" if said else ""
