"""Which labels are mistaken for which? The answers of a suite's `label` scorers, counted for each model."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeGuard

import numpy as np

from harness.records import (
    Json,
    LabelFigures,
    LabelFinding,
    Result,
    Role,
    Run,
    ScorerSpec,
    Suite,
    record,
)
from harness.texts.labels import label_meanings, label_meant
from harness.verdict.f1_scores import (
    Flags,
    LabelReadings,
    confusion_of,
    macro_f1,
    parts_of,
    percentiles,
    resampled_macro_f1,
)
from harness.verdict.intervals import CONFIDENCE, RATE_CONFIDENCE
from harness.verdict.pairedtests import FEWEST_FAMILIES, Ints
from harness.verdict.scores import families_of, rows_by_suite

LABEL = "label"
"""The type of the scorers whose answers are labels."""
MACRO_F1 = "macro_f1"
FEWEST_CASES = 10
"""Below so many cases of a label, intervals of macro-F1 promise too much."""

MOST_NAMED = 4
SAME_EVERYWHERE = "every resample of the cases gives the same difference, which says nothing about chance"


@record
class ClassifiedCases:
    """One `label` scorer over a suite: its labels, one row per case that expects one, and their families."""

    suite: Suite
    scorer: str
    labels: tuple[str, ...]
    cases: tuple[str, ...]
    expected: Ints
    families: Ints | None


def macro_f1_scorer(suite: Suite, metric: str) -> ScorerSpec | None:
    """The `label` scorer whose macro-F1 a metric means: `macro_f1`, or `desk.macro_f1` where there are several."""
    if metric in {spec.name for spec in suite.scorers}:
        return None
    names = (MACRO_F1, *(f"{spec.name}.{MACRO_F1}" for spec in suite.scorers))
    if metric not in names:
        return None
    found = [spec for spec in suite.scorers if spec.type == LABEL]
    return next((spec for spec in found if metric in {MACRO_F1, f"{spec.name}.{MACRO_F1}"}), None)


def classified_cases(suite: Suite, spec: ScorerSpec) -> ClassifiedCases | None:
    """What the cases of a suite expect of a `label` scorer; None where its settings are none."""
    labels, aliases = spec.settings.get("labels"), spec.settings.get("aliases", {})
    if not _is_texts(labels) or not isinstance(aliases, Mapping):
        return None
    meanings = label_meanings(labels, {str(key): str(value) for key, value in aliases.items()})
    meant = {case.id: label_meant(case.expected, meanings) for case in suite.cases}
    place = {label: index for index, label in enumerate(labels)}
    cases = tuple(name for name, label in meant.items() if label in place)
    return ClassifiedCases(
        suite=suite,
        scorer=spec.name,
        labels=tuple(labels),
        cases=cases,
        expected=np.array([place[str(meant[name])] for name in cases], dtype=np.int64),
        families=families_of(suite, cases),
    )


def readings_of(classified: ClassifiedCases, results: Sequence[Result]) -> LabelReadings:
    """What one model's answers to a suite were read as, trials shared out."""
    rows: defaultdict[str, list[Result]] = defaultdict(list)
    for result in results:
        rows[result.case].append(result)
    place = {label: index for index, label in enumerate(classified.labels)}
    trials = max([classified.suite.trials, *(len(asked) for asked in rows.values())])
    shares = np.zeros((len(classified.cases), len(classified.labels) + 1))
    missing = np.ones(len(classified.cases))
    for row, case in enumerate(classified.cases):
        read = Counter(
            place.get(score.answer or "", len(classified.labels))
            for result in rows[case]
            if (score := result.scores.get(classified.scorer)) is not None and score.value is not None
        )
        answered = read.total()
        missing[row] = 1 - answered / trials
        for column, number in read.items():
            shares[row, column] = number / answered
    return LabelReadings(expected=classified.expected, shares=shares, missing=missing)


def figures_of(classified: ClassifiedCases, readings: LabelReadings) -> LabelFigures:
    """One model's confusion matrix and macro-F1, with its interval where there are cases enough."""
    parts = parts_of(readings)
    value = float(macro_f1(parts.sum(axis=0)))
    interval = None
    if not why_no_interval(classified, readings.known):
        draws = resampled_macro_f1(parts[readings.known], families=_part(classified.families, readings.known))
        interval = percentiles(draws, confidence=RATE_CONFIDENCE)
    return LabelFigures(
        confusion=tuple(tuple(float(entry) for entry in row) for row in confusion_of(readings)),
        macro_f1=None if np.isnan(value) else value,
        interval=interval,
    )


def why_no_interval(classified: ClassifiedCases, known: Flags) -> str:
    """Why resampling the known cases would promise too much, in a clause; empty when it does not."""
    sizes = np.bincount(classified.expected[known], minlength=len(classified.labels))
    few = [
        f"{label} {size}"
        for label, size in zip(classified.labels, sizes, strict=True)
        if 0 < size < FEWEST_CASES
    ]
    if few:
        named = ", ".join(few[:MOST_NAMED]) + (", …" if len(few) > MOST_NAMED else "")
        return f"too few cases for an interval of macro-F1, below {FEWEST_CASES}: {named}"
    families = _part(classified.families, known)
    if families is not None and (number := len(np.unique(families))) < FEWEST_FAMILIES:
        return f"too few families for an interval of macro-F1, below {FEWEST_FAMILIES}: {number}"
    return "" if sizes.any() else "no answer was read"


def label_findings(run: Run, *, reference: Role) -> tuple[LabelFinding, ...]:
    """Every `label` scorer of the asked suites of a run, over all roles that answered."""
    rows = rows_by_suite(run.results)
    return tuple(
        _finding(classified, rows.get(suite.name, {}), reference=reference)
        for suite in run.manifest.suites
        if run.manifest.selected.get(suite.name)
        for spec in suite.scorers
        if spec.type == LABEL and (classified := classified_cases(suite, spec)) is not None
    )


def _finding(
    classified: ClassifiedCases, rows: Mapping[Role, Sequence[Result]], *, reference: Role
) -> LabelFinding:
    readings = {role: readings_of(classified, results) for role, results in rows.items()}
    finding = LabelFinding(
        suite=classified.suite.name,
        scorer=classified.scorer,
        labels=classified.labels,
        figures={role: figures_of(classified, read) for role, read in readings.items()},
    )
    if "candidate" not in readings or reference not in readings:
        return finding
    return _with_difference(
        finding, classified, candidate=readings["candidate"], reference=readings[reference]
    )


def _with_difference(
    finding: LabelFinding, classified: ClassifiedCases, *, candidate: LabelReadings, reference: LabelReadings
) -> LabelFinding:
    """The finding with the change of macro-F1 over the cases that both models answered."""
    both = candidate.known & reference.known
    note = why_no_interval(classified, both)
    if not both.any():
        return replace(finding, note=note)
    sides = np.stack([parts_of(candidate), parts_of(reference)], axis=1)[both]
    new, old = macro_f1(sides.sum(axis=0))
    interval = None
    if not note:
        draws = resampled_macro_f1(sides, families=_part(classified.families, both))
        interval = percentiles(draws[:, 0] - draws[:, 1], confidence=CONFIDENCE)
        note = "" if interval else SAME_EVERYWHERE
    return replace(finding, difference=float(new - old), interval=interval, note=note)


def _part(families: Ints | None, known: Flags) -> Ints | None:
    return None if families is None else families[known]


def _is_texts(value: Json) -> TypeGuard[Sequence[str]]:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
