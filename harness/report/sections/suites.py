"""The table of suites: scores, difference with its interval, the rule that decided, the gates."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from harness.records import (
    Change,
    Decision,
    GateFinding,
    Role,
    Suite,
    SuiteRole,
    SuiteVerdict,
    record,
)
from harness.report import bars
from harness.report.bars import Bar, Scale, Tick
from harness.report.material import ROLE_WORDS, Material
from harness.report.notation import count, counted, fixed, interval, plain, points, signed_points
from harness.report.sections.confusion import LabelsView, show_labels
from harness.report.sections.lengths import LengthsView, lengths_of
from harness.report.sections.rates import Rate, rates_of
from harness.verdict import describe_gate, describe_leaning, describe_reach, leanings_of

GROUPS: tuple[tuple[tuple[SuiteRole, ...], str, str], ...] = (
    (("target",), "Targets", "what the training was for: the candidate must be better"),
    (("guard", "critical"), "Guards", "what must not suffer: no loss beyond the margin"),
    (("info",), "For information", "no claim is made"),
)
CHANGES: tuple[Change, ...] = ("improved", "regressed", "missed", "kept")


@record
class ChangeCount:
    """How many cases of a suite changed in one way; `share` is the width of its piece of the strip."""

    change: Change
    count: int
    share: float
    x: float
    href: str


@record
class GateRow:
    """A declared gate: the condition, what was measured, the decision, and why there is none."""

    condition: str
    value: str
    decision: Decision
    reason: str


@record
class SuiteRow:
    """One suite as the table shows it; all texts."""

    name: str
    role: str
    cases: str
    means: Mapping[str, str]
    difference: str
    interval: str
    bar: Bar | None
    margin: str
    decision: Decision
    rule: str
    reason: str
    reach: str
    description: str = ""
    changes: tuple[ChangeCount, ...] = ()
    gates: tuple[GateRow, ...] = ()
    labels: tuple[LabelsView, ...] = ()
    leanings: tuple[str, ...] = ()
    rates: tuple[Rate, ...] = ()
    lengths: tuple[LengthsView, ...] = ()


@record
class Group:
    """Suites of one kind, on one scale."""

    title: str
    claim: str
    rows: tuple[SuiteRow, ...]
    ticks: tuple[Tick, ...]


@record
class Unasked:
    """A suite without an answer in this run, and why."""

    name: str
    reason: str


@record
class SuitesView:
    """The whole table."""

    columns: tuple[tuple[Role, str], ...]
    groups: tuple[Group, ...]
    unasked: tuple[Unasked, ...]
    width: float


def show_suites(material: Material) -> SuitesView:
    """Every judged suite by group, the pooled guards beneath the guards, and the suites not asked."""
    roles: tuple[Role, ...] = material.roles or ("base", "candidate")
    groups = [_group(material, kinds, title=title, claim=claim) for kinds, title, claim in GROUPS]
    return SuitesView(
        columns=tuple((role, ROLE_WORDS[role]) for role in roles),
        groups=tuple(group for group in groups if group.rows),
        unasked=tuple(_unasked(material)),
        width=bars.WIDTH,
    )


def _group(material: Material, kinds: tuple[SuiteRole, ...], *, title: str, claim: str) -> Group:
    judged = [verdict for verdict in material.verdict.suites.values() if verdict.role in kinds]
    pooled = [material.verdict.pooled] if "guard" in kinds and material.verdict.pooled else []
    measure = bars.scale(_marks([*judged, *pooled]))
    return Group(
        title=title,
        claim=claim,
        rows=(
            *(_suite_row(verdict, material, measure=measure) for verdict in judged),
            *(_row(verdict, material.verdict.reference, measure=measure) for verdict in pooled),
        ),
        ticks=measure.ticks() if any(verdict.interval for verdict in judged) else (),
    )


def _marks(judged: Sequence[SuiteVerdict]) -> list[float]:
    """Every place that the scale must hold."""
    marks: list[float] = []
    for verdict in judged:
        if verdict.interval is not None:
            marks += [*verdict.interval]
        if verdict.margin is not None:
            marks.append(-verdict.margin)
    return marks


def _suite_row(verdict: SuiteVerdict, material: Material, *, measure: Scale) -> SuiteRow:
    """A suite's row: the figures of its verdict, and what the suite and its cases add."""
    suite = next((item for item in material.run.manifest.suites if item.name == verdict.name), None)
    row = _row(verdict, material.verdict.reference, measure=measure)
    rows = {role: material.rows(verdict.name, role) for role in material.roles}
    return replace(
        row,
        name=verdict.name,
        role=verdict.role,
        description=suite.description if suite else "",
        cases=_cases(verdict.cases, len(suite.cases) if suite else verdict.cases),
        means={**_other_means(verdict, material), **row.means},
        changes=_changes(verdict.name, material),
        gates=tuple(_gate(finding) for finding in material.verdict.gates if finding.suite == verdict.name),
        labels=tuple(
            show_labels(finding, material.roles)
            for finding in material.verdict.classifications
            if finding.suite == verdict.name
        ),
        leanings=tuple(_leanings(verdict.name, material)),
        rates=rates_of(suite, rows) if suite else (),
        lengths=lengths_of(suite, rows) if suite else (),
    )


def _row(verdict: SuiteVerdict, reference: str, *, measure: Scale) -> SuiteRow:
    """The figures of a verdict; as it stands, the row of all guards together."""
    bar = None
    if verdict.difference is not None and verdict.interval is not None and _is_finite(verdict):
        bar = measure.bar(verdict.difference, verdict.interval, margin=verdict.margin)
    return SuiteRow(
        name="All guards together",
        role="pooled",
        cases=count(verdict.cases),
        means={"candidate": points(verdict.candidate), reference: points(verdict.reference)},
        difference=signed_points(verdict.difference),
        interval=interval(verdict.interval),
        bar=bar,
        margin=points(verdict.margin),
        decision=verdict.decision,
        rule=verdict.rule,
        reason=verdict.reason,
        reach=describe_reach(verdict),
    )


def _is_finite(verdict: SuiteVerdict) -> bool:
    return all(math.isfinite(value) for value in (verdict.difference or 0.0, *(verdict.interval or ())))


def _cases(compared: int, whole: int) -> str:
    """How many cases the verdict rests on; `40 of 60` where not all of the suite's are among them."""
    return count(compared) if compared == whole else f"{count(compared)} of {count(whole)}"


def _other_means(verdict: SuiteVerdict, material: Material) -> dict[str, str]:
    """The mean scores of the roles that the verdict did not compare."""
    compared = {"candidate", material.verdict.reference}
    return {
        role: points(material.mean_score(verdict.name, role))
        for role in material.roles
        if role not in compared
    }


def _changes(name: str, material: Material) -> tuple[ChangeCount, ...]:
    counts = Counter(
        item.change for (suite, _), item in material.changes().items() if suite == name and item.change
    )
    whole = sum(counts.values())
    strip: list[ChangeCount] = []
    x = 0.0
    for change in CHANGES:
        if not whole:
            break
        share = round(100 * counts[change] / whole, 2)
        href = f"#cases&suite={quote(name, safe='', errors='replace')}&show={change}"
        strip.append(ChangeCount(change=change, count=counts[change], share=share, x=round(x, 2), href=href))
        x += share
    return tuple(strip)


def _leanings(name: str, material: Material) -> Iterator[str]:
    """What a reader should hold against a judge's scores."""
    if material.reference is not None:
        for leaning in leanings_of(material.run, reference=material.reference):
            if leaning.suite == name:
                yield from describe_leaning(leaning)


def _gate(finding: GateFinding) -> GateRow:
    return GateRow(
        condition=describe_gate(finding.gate),
        value=_measured(finding),
        decision=finding.decision,
        reason=finding.reason if finding.decision == "undecided" else "",
    )


def _measured(finding: GateFinding) -> str:
    """`0.857 (0.60 to 0.96)`; for a ratio `72 against 120, × 0.600`."""
    value = plain(finding.value)
    is_ratio = finding.gate.at_least_ratio is not None or finding.gate.at_most_ratio is not None
    if is_ratio and finding.value is not None and finding.reference:
        ratio = plain(finding.value / finding.reference)
        return f"{value} against {plain(finding.reference)}, × {ratio}"
    if finding.interval is not None:
        return f"{value} ({fixed(finding.interval[0], 2)} to {fixed(finding.interval[1], 2)})"
    return value


def _unasked(material: Material) -> list[Unasked]:
    manifest = material.run.manifest
    answered = {name for name, _ in material.answers}
    return [
        Unasked(name=suite.name, reason=_why_unasked(suite, len(manifest.selected.get(suite.name, ()))))
        for suite in manifest.suites
        if suite.name not in answered and suite.name not in material.verdict.suites
    ]


def _why_unasked(suite: Suite, selected: int) -> str:
    if selected:
        return f"{counted(selected, 'case was', 'cases were')} selected, no answer came"
    if suite.needs:
        return f"needs {', '.join(suite.needs)}"
    return "no case was selected"
