"""A checked training file as one HTML page: fit or not, what is wrong and what to do, how long rows are, what they cost.

Everything from the file (rows, roles, keys, labels, its name) is hostile text: templates escape it, and the policy lets no
script run and nothing load.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from harness.dataset import DatasetReport, Finding
from harness.dataset.formats import FormatError
from harness.dataset.histograms import Histogram, widened
from harness.dataset.shapes import conversion_of
from harness.records import record
from harness.report.charts import Chart, Spread, draw_spread
from harness.report.checked_file import findings_of, level_counts, next_step, told_lines, usd_digits
from harness.report.document import asset, policy, templates
from harness.report.finding_lists import list_of
from harness.report.notation import MISSING, count, counted
from harness.serial import write_atomic

SHOWN_PLACES = 5
"""Rows told of each category of errors; the count says how many there are."""
SHOWN_LABELS = 20
TITLES: Mapping[str, str] = {
    "messages": "Messages a row",
    "tokens": "Tokens a row",
    "answer_tokens": "Answer tokens a row",
}
_AROUND = 2
"""Epochs around the provider's choice: its guide says to add or take one or two where the first job disappoints."""
_MOST_EPOCHS = 50
_SHOWN_LINES = 20


@record
class ErrorGroup:
    """The errors of one category: how many, and the first of them."""

    category: str
    count: int
    shown: tuple[FormatError, ...]
    commands: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[tuple[str, str, str], ...]:
        """The lines, what is wrong there, and the remedy: once for those that are wrong in the same way."""
        alike: dict[tuple[str, str], list[str]] = {}
        for error in self.shown:
            alike.setdefault((error.what, error.remedy), []).append(str(error.line))
        return tuple(
            (f"line{'s' if len(lines) > 1 else ''} {', '.join(lines)}", what, remedy)
            for (what, remedy), lines in alike.items()
        )

    @property
    def remedy(self) -> str | None:
        """The remedy, where it is the same for all that are shown."""
        remedies = {error.remedy for error in self.shown}
        return remedies.pop() if len(remedies) == 1 else None


@record
class LabelBar:
    """How often a label occurs; shares are of all rows with labels, `width` of the most frequent label, both in percent."""

    label: str
    count: int
    share: str
    width: float


@record
class FilePart:
    """One file of the job on the page: training or validation."""

    key: str
    title: str
    report: DatasetReport
    errors: tuple[ErrorGroup, ...]
    findings: tuple[Finding, ...]
    labels: tuple[LabelBar, ...]
    labels_more: int


@record
class EpochChoice:
    """What a number of epochs bills and costs."""

    epochs: int
    tokens: int
    cost_usd: float | None
    is_default: bool


@record
class Row:
    """A line of the table of both files."""

    name: str
    values: tuple[str, ...]


def render_data(report: DatasetReport, *, to: Path) -> Path:
    """Write the page of a checked file to `to`, replacing it in one step, and return that path.

    Raises:
        OSError: The file cannot be written; an older page stays as it was.
    """
    style = asset("style.css") + asset("data.css")
    parts = [_part(report, "train", "Training file")]
    if report.valid is not None:
        parts.append(_part(report.valid, "valid", "Validation file"))
    html = (
        templates()
        .get_template("data.html.j2")
        .render(
            report=report,
            parts=parts,
            charts=_charts(parts),
            equal=list(_equal(parts)),
            rows=list(_rows(parts)),
            epochs=epoch_choices(report),
            train_price=report.cost.train_price,
            shutdown=shutdown_of(report),
            level_counts=level_counts(report),
            next_step=next_step(report),
            lines_of=_lines_of,
            list_of=list_of,
            style=Markup(style),  # noqa: S704 - ours
            policy=policy(style=style),
            icon=_icon(is_fit=report.is_fit),
            count=count,
            counted=counted,
            dollars=_dollars([choice.cost_usd for choice in epoch_choices(report)]),
            asking=_dollars([report.cost.per_1000_cases_base_usd, report.cost.per_1000_cases_tuned_usd]),
        )
    )
    write_atomic(to, html)
    return to


def epoch_choices(report: DatasetReport) -> list[EpochChoice]:
    """The provider's epochs and those around them, from one on."""
    default = report.epochs
    near = range(max(1, default - _AROUND), min(_MOST_EPOCHS, default + _AROUND) + 1)
    per_epoch = None if report.cost.training_usd is None else report.cost.training_usd / default
    return [
        EpochChoice(
            epochs=number,
            tokens=report.billed_tokens * number,
            cost_usd=None if per_epoch is None else per_epoch * number,
            is_default=number == default,
        )
        for number in sorted({1, *near})
    ]


def _dollars(together: Sequence[float | None]) -> Callable[[float | None], str]:
    """How amounts that stand together are written: with the same digits."""
    digits = usd_digits(together)

    def shown(amount: float | None) -> str:
        return MISSING if amount is None else f"${amount:,.{digits}f}"

    return shown


def _lines_of(finding: Finding) -> str:
    return told_lines(finding, _SHOWN_LINES).replace(" ...", ", …")


def shutdown_of(report: DatasetReport) -> str | None:
    """The day the base model, and its fine-tunes with it, are shut down, where one is known."""
    return report.cost.shutdown


def error_groups(report: DatasetReport, *, shown: int = SHOWN_PLACES) -> tuple[ErrorGroup, ...]:
    """The errors by category, the most frequent first."""
    by_count = sorted(report.error_counts.items(), key=lambda item: -item[1])
    return tuple(_group(report, category, number, shown=shown) for category, number in by_count)


def _group(report: DatasetReport, category: str, number: int, *, shown: int) -> ErrorGroup:
    errors = tuple(error for error in report.errors if error.category == category)[:shown]
    commands = {conversion_of(report.path, error.source) for error in errors if error.source}
    return ErrorGroup(category=category, count=number, shown=errors, commands=tuple(sorted(commands)))


def _part(report: DatasetReport, key: str, title: str) -> FilePart:
    return FilePart(
        key=key,
        title=title,
        report=report,
        errors=error_groups(report),
        findings=findings_of(report),
        labels=_label_bars(report.labels),
        labels_more=max(0, len(report.labels) - SHOWN_LABELS),
    )


def _label_bars(labels: Mapping[str, int]) -> tuple[LabelBar, ...]:
    total, most = sum(labels.values()), max(labels.values(), default=1)
    return tuple(
        LabelBar(
            label=label, count=number, share=f"{number / total:.1%}", width=round(100 * number / most, 1)
        )
        for label, number in list(labels.items())[:SHOWN_LABELS]
    )


def _charts(parts: Sequence[FilePart]) -> list[list[tuple[FilePart, Chart]]]:
    """The drawings that stand together: of several files those of one measure, of one file all."""
    drawn = [*_drawn(parts)]
    return drawn if len(parts) > 1 or not drawn else [[chart for measure in drawn for chart in measure]]


def _drawn(parts: Sequence[FilePart]) -> Iterator[list[tuple[FilePart, Chart]]]:
    """For each measure a drawing of every file, on one scale."""
    for name, title in TITLES.items():
        held = [(part, part.report.histograms[name]) for part in parts if name in part.report.histograms]
        if held and not _are_equal([bars for _, bars in held]):
            width = max(bars.width for _, bars in held)
            shown = [(part, widened(bars, width)) for part, bars in held]
            span = (min(bars.start for _, bars in shown), max(bars.end for _, bars in shown))
            yield [
                (
                    part,
                    draw_spread(
                        Spread(
                            key=f"{part.key}-{name}",
                            title=title,
                            bars=bars,
                            is_valid=part.key == "valid",
                            limit=part.report.example_limit if name == "tokens" else None,
                            span=span,
                        )
                    ),
                )
                for part, bars in shown
            ]


def _are_equal(held: Sequence[Histogram]) -> bool:
    """Whether every row of every file has the same number: nothing to draw."""
    return len({(bars.start, bars.end) for bars in held}) == 1 and held[0].end - held[0].start == 1


def _equal(parts: Sequence[FilePart]) -> Iterator[str]:
    """`3 messages`, where every row has as many."""
    for name, noun in (("messages", "message"), ("tokens", "token"), ("answer_tokens", "answer token")):
        held = [part.report.histograms[name] for part in parts if name in part.report.histograms]
        # Graded prompts have no answers.
        if held and _are_equal(held) and held[0].greatest:
            yield counted(held[0].start, noun)


def _rows(parts: Sequence[FilePart]) -> Iterator[Row]:
    """What there is to compare of both files, a line each."""
    reports = [part.report for part in parts]

    def row(name: str, values: Sequence[str]) -> Row:
        return Row(name=name, values=tuple(values))

    yield row("Rows", [count(report.rows) for report in reports])
    yield row("Rows a job can train on", [count(report.examples) for report in reports])
    yield row("Form", [report.form or MISSING for report in reports])
    yield row("Errors", [count(sum(report.error_counts.values())) for report in reports])
    for name, title in TITLES.items():
        for word in ("median", "max"):
            told = {"median": "median", "max": "most"}[word]
            figures = [
                count(round(getattr(report.tokens[name], word))) if name in report.tokens else MISSING
                for report in reports
            ]
            yield row(f"{title}, {told}", figures)
    yield row("Tokens billed for an epoch", [count(report.billed_tokens) for report in reports])
    yield row("By the official script's rule", [count(report.script_tokens) for report in reports])
    yield row("Answers that refuse", [_refusals(report) for report in reports])
    if any(report.labels for report in reports):
        yield row("Labels", [count(len(report.labels)) if report.labels else MISSING for report in reports])


def _refusals(report: DatasetReport) -> str:
    share = report.refusals
    if share is None:
        return MISSING
    expected = "" if share.expected is None else f", {share.expected:.1%} expected"
    return f"{share.refusals / share.answers:.1%}{expected}"


def _icon(*, is_fit: bool) -> str:
    """The tab's icon as a data address."""
    shape, colour = (
        ("M12 1a11 11 0 1 1 0 22a11 11 0 1 1 0-22z", "#00856a")
        if is_fit
        else ("M7.4 1h9.2L23 7.4v9.2L16.6 23H7.4L1 16.6V7.4z", "#c8431a")
    )
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'><path d='{shape}' fill='{colour}'/></svg>"
    return "data:image/svg+xml," + quote(svg)
