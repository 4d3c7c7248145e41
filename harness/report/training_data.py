"""A checked training file in a terminal: the answer first and last, between them what is wrong, how long rows are and what they cost."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.dataset import DatasetReport, Finding
from harness.dataset.findings import Level
from harness.dataset.histograms import Histogram
from harness.dataset.official import MAX_TOKENS, Distribution, OfficialReport
from harness.dataset.shapes import conversion_of
from harness.report.checked_file import answer_of_check, findings_of, next_step, told_lines, usd_digits
from harness.report.lines import Colour, Line, printable
from harness.report.wrapping import wrapped

# Mistakes shown of each category; the count says how many there are.
SHOWN_ERRORS = 3
# Labels told by name, the most frequent ones.
SHOWN_LABELS = 6
# Lines a person is shown of a finding; `--json` and the page have more.
SHOWN_LINES = 12
# Columns where nobody knows how many there are; more are hard to read, and in fewer the figures have no room.
WIDTH = 100
_LEAST_WIDTH, _MOST_WIDTH = 60, 120
_MARKS: Mapping[Level, str] = {"error": "ERROR", "warning": "warning", "note": "note"}
_COLOURS: Mapping[Level, Colour | None] = {"error": "red", "warning": "yellow", "note": None}
_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 16
# A name in the first column, under which what follows is aligned.
_NAME_WIDTH = 15
_LEAST_SHOWN = 0.0001
_LEAST_WHOLE_PERCENT = 0.01


def dataset_text(
    report: DatasetReport, *, page: Path | None = None, plain: bool = False, width: int = WIDTH
) -> Iterator[Line]:
    """The report of a file, and of its validation file, line by line.

    Args:
        report: What was found.
        page: The page that was written of it, to be told.
        plain: Without characters beyond ASCII of our own, for terminals that cannot show them.
        width: The terminal's columns.
    """
    width = max(_LEAST_WIDTH, min(width, _MOST_WIDTH))
    yield from _head(report)
    yield _answer(report)
    yield from _body(report, plain=plain, width=width)
    if report.examples:
        yield Line(text="")
        yield from _money(report)
    if report.valid:
        yield Line(text="")
        yield from _head(report.valid)
        yield from _body(report.valid, plain=plain, width=width)
    yield Line(text="")
    if page:
        yield Line(text=f"page: {printable(str(page))}")
    # Not wrapped: it may be a command to be copied.
    yield Line(text=f"next: {printable(next_step(report).replace('`', ''))}")
    yield _answer(report)


def _answer(report: DatasetReport) -> Line:
    """Whether a job would take the file, and how much there is to look at."""
    return Line(text=answer_of_check(report), colour="green" if report.is_fit else "red", bold=True)


def _head(report: DatasetReport) -> Iterator[Line]:
    form = f"as {report.form} rows" if report.form else "no form recognised"
    told = f"{report.examples:,} of {report.rows:,} rows can be trained on, {form}"
    yield Line(text=f"{printable(str(report.path))}: {told}", bold=True)


def _body(report: DatasetReport, *, plain: bool, width: int) -> Iterator[Line]:
    yield from _errors(report, width)
    for finding in findings_of(report):
        yield Line(text="")
        yield from _finding(finding, width)
    if report.tokens:
        yield Line(text="")
        yield from _lengths(report, plain=plain)
        yield from _answers(report, width)


def _errors(report: DatasetReport, width: int) -> Iterator[Line]:
    for category, count in sorted(report.error_counts.items(), key=lambda item: -item[1]):
        yield Line(text="")
        yield Line(text=f"ERROR {category}: {count:,}", colour="red")
        shown = [error for error in report.errors if error.category == category][:SHOWN_ERRORS]
        remedies = {error.remedy for error in shown}
        commands = {conversion_of(report.path, error.source) for error in shown if error.source}
        for error in shown:
            # The form that editors and terminals turn into links; so it is not wrapped.
            yield Line(text=f"  {printable(f'{report.path}:{error.line}: {error.what}')}")
            if len(remedies) > 1:
                yield from _entry("do", error.remedy, width=width)
        if count > len(shown) > 0:
            yield Line(text=f"  ... and {count - len(shown):,} more")
        if len(remedies) == 1:
            yield from _entry("do", *remedies, width=width)
        # Not wrapped, to be copied as they stand.
        yield from (Line(text=f"  {'run':<7}{printable(command)}") for command in sorted(commands))


def _finding(finding: Finding, width: int) -> Iterator[Line]:
    mark = f"{_MARKS[finding.level]} {finding.name}: {printable(finding.what)}"
    for text in wrapped(mark, width=width, later="  "):
        yield Line(text=text, colour=_COLOURS[finding.level])
    yield from _entry("why", finding.why, width=width)
    yield from _entry("do", finding.remedy, width=width)
    if finding.lines:
        yield from _entry("lines", told_lines(finding, SHOWN_LINES), width=width)


def _entry(name: str, text: str, *, width: int) -> Iterator[Line]:
    """`  why    ...`, its later lines under the first."""
    first = f"  {name:<7}"
    yield from (
        Line(text=line) for line in wrapped(printable(text), width=width, first=first, later=" " * len(first))
    )


def _lengths(report: DatasetReport, *, plain: bool) -> Iterator[Line]:
    yield Line(text=f"{'a row has':<{_NAME_WIDTH}}{'fewest':>9}{'median':>9}{'mean':>9}{'most':>9}")
    for name, values in report.tokens.items():
        if not values.max:
            continue  # graded prompts have no answers
        figures = (values.min, values.median, values.mean, values.max)
        cells = "".join(f"{_figure(figure):>9}" for figure in figures)
        bars = "" if plain else f"  {_spark(report.histograms[name])}"
        yield Line(text=f"{name.replace('_', ' '):<{_NAME_WIDTH}}{cells}{bars}".rstrip())


def _figure(value: float) -> str:
    """A count, or a mean of counts with one decimal where that says something."""
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.1f}"


def _spark(bars: Histogram) -> str:
    """The bars in one line, the rows beyond them after a gap; nothing where all rows are equal."""
    if len(bars.counts) == 1 and not bars.beyond:
        return ""
    together = -(-len(bars.counts) // _SPARK_WIDTH)
    counts = [sum(bars.counts[start : start + together]) for start in range(0, len(bars.counts), together)]
    most = max(*counts, bars.beyond, 1)

    def block(count: int) -> str:
        return _BLOCKS[(count * (len(_BLOCKS) - 1) + most - 1) // most] if count else " "

    drawn = "".join(block(count) for count in counts)
    return f"{drawn} {block(bars.beyond)}" if bars.beyond else drawn


def _answers(report: DatasetReport, width: int) -> Iterator[Line]:
    """What the answers are, where there is something to say of them as a whole."""
    share = report.refusals
    if share and (share.refusals or share.expected is not None):
        expected = "" if share.expected is None else f", {share.expected:.1%} expected"
        yield _fact(
            "refusals", f"{share.refusals / share.answers:.1%} of {share.answers:,} answers{expected}"
        )
    if report.labels:
        total = sum(report.labels.values())
        named = list(report.labels.items())[:SHOWN_LABELS]
        told = ", ".join(f"{printable(label)} {_share(count / total)}" for label, count in named)
        more = len(report.labels) - len(named)
        text = f"{len(report.labels)}: {told}{f' and {more} more' if more else ''}"
        indent = " " * _NAME_WIDTH
        yield from (
            Line(text=line)
            for line in wrapped(text, width=width, first=f"{'labels':<{_NAME_WIDTH}}", later=indent)
        )


def _share(share: float) -> str:
    """A share in percent, with a decimal where it would be none without."""
    return f"{share:.0%}" if share >= _LEAST_WHOLE_PERCENT else f"{share:.1%}"


def _money(report: DatasetReport) -> Iterator[Line]:
    yield _fact("for", f"{printable(report.model)} ({printable(report.encoding)})")
    script = f"{report.script_tokens:,} by the official script's rule"
    yield _fact("an epoch", f"{report.billed_tokens:,} tokens billed, {script}")
    chosen = f"{report.epochs} epochs, batch size {report.batch_size}"
    if report.learning_rate_multiplier is not None:
        chosen += f", learning-rate multiplier {report.learning_rate_multiplier:g}"
    yield _fact("if left open", chosen)
    yield from _costs(report)
    if report.cost.shutdown:
        yield _fact("served until", f"{report.cost.shutdown}, and what is tuned from it")


def _costs(report: DatasetReport) -> Iterator[Line]:
    cost = report.cost
    if report.form == "reinforcement":
        yield _fact("training", "billed by the hour and by the graders' tokens, not by these tokens")
    elif cost.training_usd is None:
        yield _fact("training", f"no price of {printable(report.model)} is known")
    else:
        tokens, epoch = report.billed_tokens * report.epochs, cost.training_usd / report.epochs
        digits = usd_digits([cost.training_usd, epoch])
        yield _fact(
            "training",
            f"{_usd(cost.training_usd, digits)} for {tokens:,} tokens, {_usd(epoch, digits)} an epoch (prices of {cost.as_of})",
        )
    thousand = (
        ("of the base", cost.per_1000_cases_base_usd),
        ("of the fine-tune", cost.per_1000_cases_tuned_usd),
    )
    digits = usd_digits([value for _, value in thousand])
    asked = [f"{_usd(value, digits)} {whom}" for whom, value in thousand if value is not None]
    if asked:
        yield _fact("asking", f"1,000 such prompts: {', '.join(asked)}")


def _usd(amount: float, digits: int) -> str:
    if 0 < amount < _LEAST_SHOWN:
        return f"less than {_LEAST_SHOWN:.4f} USD"
    return f"{amount:,.{digits}f} USD"


def _fact(name: str, text: str) -> Line:
    return Line(text=f"{name:<{_NAME_WIDTH}}{text}")


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
    yield Line(text=f"min / max: {values.min:.0f}, {values.max:.0f}")
    yield Line(text=f"mean / median: {values.mean}, {values.median}")
    yield Line(text=f"p5 / p95*: {values.p5}, {values.p95}")
