"""A run in a terminal: models, a line a suite, the verdict with its reasons, what would settle it, what it used."""

from collections.abc import Iterator, Sequence

from harness.records import Decision, LabelFinding, Outcome, Role, Run, SuiteVerdict, Verdict
from harness.report.cautions import warnings_of
from harness.report.lines import Colour, Line, printable
from harness.report.spending import Spending, spent_by
from harness.report.unspent import Unspent, unspent_by
from harness.verdict import describe_leaning, leanings_of, reference_of, word_of

MARK: dict[Decision, str] = {"pass": "ok", "fail": "FAIL", "undecided": "?"}
DECISION_COLOUR: dict[Decision, Colour] = {"pass": "green", "fail": "red", "undecided": "yellow"}
OUTCOME_COLOUR: dict[Outcome, Colour] = {"promote": "green", "hold": "red", "undecided": "yellow"}
ROLES: tuple[Role, ...] = ("base", "promoted", "candidate", "judge", "embedding")
# Columns of words; the others are numbers and stand to the right.
WORDS = {0, 1, 8, 9}


def text_summary(run: Run, verdict: Verdict) -> Iterator[Line]:
    """The summary, line by line; shares are in percent, differences in points."""
    for role, facts in run.manifest.models.items():
        yield Line(text=f"{role:<10} {printable(facts.model)}  ({printable(facts.endpoint)})")
    if run.manifest.status != "complete":
        why = f": {printable(run.manifest.reason)}" if run.manifest.reason else ""
        text = f"this run was interrupted{why}; what was answered is kept, the same command resumes it"
        yield Line(text=text, colour="yellow")
    for warning in warnings_of(run.manifest):
        yield Line(text=f"warning: {printable(warning)}", colour="yellow")
    yield Line(text="")
    yield from _table(run, verdict)
    yield Line(text="")
    yield Line(text=f"verdict: {_word(verdict)}", colour=OUTCOME_COLOUR[verdict.outcome], bold=True)
    if verdict.summary:
        yield Line(text=printable(verdict.summary), bold=True)
    for reason in verdict.reasons:
        yield Line(text=f"  - {printable(reason)}")
    for step in verdict.next_steps:
        yield Line(text=f"  next: {printable(step)}")
    yield Line(text="")
    yield from _spending(run)


def _word(verdict: Verdict) -> str:
    """`PROMOTE`; of a migration `EQUIVALENT (promote)`, with what scripts know it by."""
    word = word_of(verdict)
    return word.upper() if word == verdict.outcome else f"{word.upper()} ({verdict.outcome})"


def _table(run: Run, verdict: Verdict) -> Iterator[Line]:
    judged = [verdict.suites[suite.name] for suite in run.manifest.suites if suite.name in verdict.suites]
    judged += [verdict.pooled] if verdict.pooled is not None else []
    if judged:
        reference, interval = verdict.reference, "90 % interval"
        head = (
            "suite",
            "role",
            "cases",
            reference,
            "candidate",
            "difference",
            interval,
            "can show",
            "",
            "decided by",
        )
        rows = [_cells(suite) for suite in judged]
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
        yield Line(text=_line(head, widths), bold=True)
        for row, suite in zip(rows, judged, strict=True):
            yield Line(text=_line(row, widths), colour=DECISION_COLOUR[suite.decision])
    for finding in verdict.gates:
        text = f"gate  {MARK[finding.decision]:<4} {printable(finding.reason)}"
        yield Line(text=text, colour=DECISION_COLOUR[finding.decision])
    for classified in verdict.classifications:
        yield Line(text=printable(_labels(classified, verdict.reference)))
    yield from _leanings(run)
    for name, why in run.manifest.skipped.items():
        yield Line(text=f"skipped   {name}: {why}")


def _leanings(run: Run) -> Iterator[Line]:
    for leaning in leanings_of(run, reference=reference_of(run)):
        for sentence in describe_leaning(leaning):
            yield Line(text=printable(f"judge     {leaning.suite}, {sentence}"))


def _labels(finding: LabelFinding, reference: str) -> str:
    """`macro-F1  routing: base 41.2, candidate 88.1 (95 % 80.3 .. 94.0), +46.9 (90 % +35.0 .. +58.1)`."""
    words = []
    for role in (reference, "candidate"):
        if (figures := finding.figures.get(role)) is not None:
            low_high = " .. ".join(_share(bound) for bound in figures.interval or ())
            words.append(f"{role} {_share(figures.macro_f1)}" + (f" (95 % {low_high})" if low_high else ""))
    if finding.difference is not None:
        low_high = " .. ".join(f"{bound * 100:+.1f}" for bound in finding.interval or ())
        words.append(f"{finding.difference * 100:+.1f}" + (f" (90 % {low_high})" if low_high else ""))
    name = finding.suite if finding.scorer == "label" else f"{finding.suite} {finding.scorer}"
    return f"macro-F1  {name}: {', '.join(words)}" + (f"; {finding.note}" if finding.note else "")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if column in WORDS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _cells(suite: SuiteVerdict) -> tuple[str, ...]:
    interval = "–"
    if suite.interval is not None:
        interval = " .. ".join(f"{bound * 100:+.1f}" for bound in suite.interval)
    return (
        suite.name,
        suite.role,
        str(suite.cases),
        _share(suite.reference),
        _share(suite.candidate),
        "–" if suite.difference is None else f"{suite.difference * 100:+.1f}",
        interval,
        _can_show(suite),
        "" if suite.role == "info" else MARK[suite.decision],
        suite.rule,
    )


def _can_show(suite: SuiteVerdict) -> str:
    """The smallest gain of a target that its cases would find; of a guard the smallest loss they would rule out."""
    if suite.role == "target" and suite.smallest_detectable is not None:
        return f"{suite.smallest_detectable * 100:+.1f}"
    return "–" if suite.provable_margin is None else f"{-suite.provable_margin * 100:+.1f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.1f}"


def _spending(run: Run) -> Iterator[Line]:
    for role in ROLES:
        if role in run.manifest.models:
            yield Line(text=f"{role:<10} {_used(spent_by(run, role))}")
    if (saved := unspent_by(run)) is not None:
        yield Line(text=f"{'saved':<10} about {_left_out(saved)} by stopping early", colour="green")


def _left_out(saved: Unspent) -> str:
    """`60 requests, 1,800 tokens, 0.0012 USD`, without what is not known."""
    words = [f"{saved.requests:,} requests"]
    if saved.tokens is not None:
        words.append(f"{saved.tokens:,} tokens")
    if saved.cost_usd is not None:
        words.append(f"{saved.cost_usd:.4f} USD")
    return ", ".join(words)


def _used(part: Spending) -> str:
    """`72 asked, 3 from the cache, 1,204 + 310 tokens, 0.0012 USD`, without what is not known."""
    by_batch = f" ({part.by_batch} by batch, at its price)" if part.by_batch else ""
    words = [f"{part.answered} answered{by_batch}", f"{part.from_cache} from the cache"]
    if part.failed:
        words.append(f"{part.failed} failed")
    if part.not_asked:
        words.append(f"{part.not_asked} not asked")
    if part.prompt_tokens is not None and part.completion_tokens is not None:
        words.append(f"{part.prompt_tokens:,} prompt and {part.completion_tokens:,} answer tokens")
    if part.cost_usd is not None:
        words.append(f"{part.cost_usd:.4f} USD")
    return ", ".join(words)
