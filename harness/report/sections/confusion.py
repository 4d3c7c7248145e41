"""Which labels a model mistakes for which: one small matrix for each model, or its most frequent mistakes."""

import math
from collections.abc import Mapping, Sequence

from harness.records import LabelFigures, LabelFinding, Role, record
from harness.report.material import ROLE_WORDS
from harness.report.notation import fixed, interval, plain, points, signed_points

INVALID = "invalid"
# A wider matrix is read by nobody: its largest entries are.
MOST_LABELS = 12
MOST_MISTAKES = 10
SHADES = 5


@record
class Entry:
    """Cases of one label read as one other; `shade` is their share of the label's cases in fifths, 0 for none."""

    text: str
    shade: int
    is_right: bool


@record
class MatrixRow:
    """One expected label and what was read."""

    label: str
    entries: tuple[Entry, ...]


@record
class ConfusionView:
    """One model's matrix; with many labels, its mistakes instead, the most frequent first."""

    title: str
    macro_f1: str
    rows: tuple[MatrixRow, ...]
    mistakes: tuple[str, ...]


@record
class LabelsView:
    """One `label` scorer of a suite; all texts."""

    scorer: str
    columns: tuple[str, ...]
    models: tuple[ConfusionView, ...]
    change: str
    note: str


def show_labels(finding: LabelFinding, roles: Sequence[Role]) -> LabelsView:
    """A label scorer's matrices in the order of `roles`, and the change of macro-F1."""
    figures = {role: finding.figures[role] for role in roles if role in finding.figures}
    return LabelsView(
        scorer=finding.scorer,
        columns=(*finding.labels, INVALID),
        models=tuple(_matrix(ROLE_WORDS[role], one, finding.labels) for role, one in figures.items()),
        change=_change(finding),
        note=finding.note,
    )


def _change(finding: LabelFinding) -> str:
    """`Macro-F1 +46.9 points, 90 % interval +35.0 to +58.1`."""
    if finding.difference is None:
        return ""
    bounds = f", 90 % interval {interval(finding.interval)}" if finding.interval else ""
    return f"Macro-F1 {signed_points(finding.difference)} points{bounds}"


def _matrix(title: str, figures: LabelFigures, labels: Sequence[str]) -> ConfusionView:
    is_wide = len(labels) > MOST_LABELS
    return ConfusionView(
        title=title,
        macro_f1=_value(figures),
        rows=() if is_wide else tuple(_rows(figures, labels)),
        mistakes=tuple(_mistakes(figures, labels)) if is_wide else (),
    )


def _value(figures: LabelFigures) -> str:
    """`88.1 (80.3 to 94.0)`, on the page's scale of 0 to 100."""
    if figures.interval is None:
        return points(figures.macro_f1)
    low, high = figures.interval
    return f"{points(figures.macro_f1)} ({points(low)} to {points(high)})"


def _rows(figures: LabelFigures, labels: Sequence[str]) -> list[MatrixRow]:
    return [
        MatrixRow(
            label=label,
            entries=tuple(
                _entry(value, whole=sum(row), is_right=column == place) for column, value in enumerate(row)
            ),
        )
        for place, (label, row) in enumerate(zip(labels, figures.confusion, strict=True))
    ]


def _entry(value: float, *, whole: float, is_right: bool) -> Entry:
    text = "" if value == 0 else plain(value) if value == int(value) else fixed(value, 1)
    return Entry(text=text, shade=math.ceil(SHADES * value / whole) if whole else 0, is_right=is_right)


def _mistakes(figures: LabelFigures, labels: Sequence[str]) -> list[str]:
    columns = (*labels, INVALID)
    counts: Mapping[tuple[str, str], float] = {
        (label, columns[column]): value
        for place, (label, row) in enumerate(zip(labels, figures.confusion, strict=True))
        for column, value in enumerate(row)
        if value and column != place
    }
    largest = sorted(counts.items(), key=lambda item: -item[1])[:MOST_MISTAKES]
    return [f"{label} read as {read}: {plain(value)}" for (label, read), value in largest]
