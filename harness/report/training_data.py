"""A checked training file in a terminal: what is wrong, how long it is, what it costs, what to do about the data."""

from collections.abc import Iterator, Mapping

from harness.dataset import DatasetReport, Finding
from harness.dataset.findings import Level
from harness.dataset.official import MAX_TOKENS, Distribution, OfficialReport
from harness.report.text import Colour, Line, printable

# Mistakes shown of each category; the count says how many there are.
SHOWN_ERRORS = 3
_MARKS: Mapping[Level, str] = {"error": "ERROR", "warning": "warning", "note": "note"}
_COLOURS: Mapping[Level, Colour | None] = {"error": "red", "warning": "yellow", "note": None}


def dataset_text(report: DatasetReport) -> Iterator[Line]:
    """The report of a file, and of its validation file, line by line."""
    yield from _file(report)
    if report.valid:
        yield Line(text="")
        yield from _file(report.valid)
    yield Line(text="")
    if report.is_fit:
        yield Line(text="fit for a job", colour="green", bold=True)
    else:
        yield Line(text="not fit for a job: mend the errors first", colour="red", bold=True)


def _file(report: DatasetReport) -> Iterator[Line]:
    form = f"as {report.form} rows" if report.form else "no form recognised"
    told = f"{report.examples:,} of {report.rows:,} rows can be trained on, {form}"
    yield Line(text=f"{printable(str(report.path))}: {told}", bold=True)
    yield from _errors(report)
    if report.tokens:
        yield Line(text="")
        yield from _tokens(report)
        yield from _money(report)
    for finding in (*report.warnings, *report.findings):
        yield Line(text="")
        yield from _finding(finding)


def _errors(report: DatasetReport) -> Iterator[Line]:
    for category, count in report.error_counts.items():
        yield Line(text="")
        yield Line(text=f"ERROR {category}: {count:,}", colour="red")
        shown = [error for error in report.errors if error.category == category][:SHOWN_ERRORS]
        for error in shown:
            yield Line(text=f"  {printable(f'{report.path}:{error.line}: {error.what}')}")
        if shown:
            yield Line(text=f"  remedy: {printable(shown[0].remedy)}")


def _tokens(report: DatasetReport) -> Iterator[Line]:
    yield Line(text=f"{'a row has':<16}{'fewest':>9}{'median':>9}{'mean':>9}{'most':>9}")
    for name, values in report.tokens.items():
        figures = (values.min, values.median, values.mean, values.max)
        cells = "".join(f"{figure:>9,.0f}" for figure in figures)
        yield Line(text=f"{name.replace('_', ' '):<16}{cells}")


def _money(report: DatasetReport) -> Iterator[Line]:
    yield Line(text="")
    yield Line(
        text=f"one epoch: {report.billed_tokens:,} tokens billed; {report.script_tokens:,} by the official script's rule"
        f" ({report.encoding})"
    )
    chosen = f"{report.epochs} epochs, batch size {report.batch_size}"
    if report.learning_rate_multiplier is not None:
        chosen += f", learning-rate multiplier {report.learning_rate_multiplier:g}"
    yield Line(text=f"if left open: {chosen}")
    cost = report.cost
    if cost.training_usd is None:
        yield Line(text=f"cost: no training price of {printable(report.model)} is known")
        return
    total = report.billed_tokens * report.epochs
    yield Line(
        text=f"training {printable(report.model)}: {cost.training_usd:,.2f} USD for {total:,} tokens"
        f" (prices of {cost.as_of})"
    )
    thousand = (("the base", cost.per_1000_cases_base_usd), ("the fine-tune", cost.per_1000_cases_tuned_usd))
    asked = " and ".join(f"{who} {value:,.2f} USD" for who, value in thousand if value is not None)
    if asked:
        yield Line(text=f"asking 1,000 such prompts: {asked}")


def _finding(finding: Finding) -> Iterator[Line]:
    mark = f"{_MARKS[finding.level]} {finding.name}"
    yield Line(text=f"{mark}: {printable(finding.what)}", colour=_COLOURS[finding.level])
    yield Line(text=f"  why: {printable(finding.why)}")
    yield Line(text=f"  remedy: {printable(finding.remedy)}")
    if finding.lines:
        more = ", ..." if finding.count > len(finding.lines) else ""
        yield Line(text=f"  lines {', '.join(map(str, finding.lines))}{more}")


def official_text(report: OfficialReport) -> Iterator[Line]:
    """The official script's report of a file, figure for figure, with a note where its words mislead."""
    yield Line(text=f"Num examples: {report.rows}")
    if report.errors:
        yield Line(text="Found errors:")
        for category, count in report.errors.items():
            yield Line(text=f"{category}: {count}")
    else:
        yield Line(text="No errors found")
    for stop in report.stops:
        yield Line(text=f"the script ends here: line {stop.line}: {printable(stop.error)}", colour="red")
    if report.stopped > len(report.stops):
        yield Line(text=f"... and {report.stopped - len(report.stops)} more rows like these", colour="red")
    yield Line(text=f"Num examples missing system message: {report.no_system}")
    yield Line(text=f"Num examples missing user message: {report.no_user}")
    for name, values in (
        ("num_messages_per_example", report.messages),
        ("num_total_tokens_per_example", report.tokens),
        ("num_assistant_tokens_per_example", report.answers),
    ):
        if values:
            yield Line(text="")
            yield from _distribution(name, values)
    money = report.estimate
    yield Line(text="")
    yield Line(text=f"{money.too_long} examples may be over the {MAX_TOKENS} token limit")
    yield Line(text=f"Dataset has ~{money.tokens} tokens that will be charged for during training")
    yield Line(text=f"By default, you'll train for {money.epochs} epochs on this dataset")
    yield Line(text=f"By default, you'll be charged for ~{money.charged} tokens")
    yield Line(text="")
    yield Line(text="* what the script calls p5 and p95 are the quantiles 0.1 and 0.9")
    if report.stopped:
        yield Line(text="* the figures leave out the rows at which the script itself would have ended")


def _distribution(name: str, values: Distribution) -> Iterator[Line]:
    yield Line(text=f"#### Distribution of {name}:")
    yield Line(text=f"min / max: {values.min:g}, {values.max:g}")
    yield Line(text=f"mean / median: {values.mean}, {values.median}")
    yield Line(text=f"p5 / p95*: {values.p5}, {values.p95}")
