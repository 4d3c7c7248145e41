"""`check_file`: a training file read once, every tally fed, and what they say put together."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from harness.dataset.bases import unknown_tokenizer
from harness.dataset.billing import (
    count_rows,
    default_batch_size,
    default_epochs,
    default_multiplier,
)
from harness.dataset.cost import price_of, retirement
from harness.dataset.engines import ONE_PROCESS, Engine
from harness.dataset.engines.parts import plain
from harness.dataset.examples import example_of
from harness.dataset.findings import Finding
from harness.dataset.formats import FormatTally
from harness.dataset.leaks import SuitePrompt, suite_leaks, validation_leaks
from harness.dataset.lengths import LengthTally
from harness.dataset.limits import example_limit
from harness.dataset.lines import Line, chunks
from harness.dataset.pricing import TokenUse, training_cost
from harness.dataset.quality.agreement import AgreementTally
from harness.dataset.quality.balance import BalanceTally
from harness.dataset.quality.dirt import DirtTally
from harness.dataset.quality.drift import DriftTally, suite_drift, validation_drift
from harness.dataset.quality.grounding import GroundingTally
from harness.dataset.quality.labels import LabelsTally
from harness.dataset.quality.language import LanguageTally
from harness.dataset.quality.refusals import RefusalsTally
from harness.dataset.quality.repeats import RepeatsTally
from harness.dataset.report import DatasetReport, RefusalShare, TrainingCost
from harness.dataset.rows import row_problems
from harness.dataset.shapes import Form
from harness.dataset.tallies import SeenRow, Setting, Tally
from harness.dataset.tokens import encoding_for
from harness.serial import file_digest

# The checks of the data itself, in the order their findings are told: one line for each.
QUALITY: Mapping[str, Callable[[], Tally]] = {
    "refusals": RefusalsTally,
    "balance": BalanceTally,
    "labels": LabelsTally,
    "agreement": AgreementTally,
    "dirt": DirtTally,
    "grounding": GroundingTally,
    "language": LanguageTally,
}


@dataclass(kw_only=True)
class Tallies:
    """Every check's memory of one file, or of a part of it."""

    formats: FormatTally = field(default_factory=FormatTally)
    lengths: LengthTally = field(default_factory=LengthTally)
    repeats: RepeatsTally = field(default_factory=RepeatsTally)
    drift: DriftTally = field(default_factory=DriftTally)
    quality: dict[str, Tally] = field(
        default_factory=lambda: {name: make() for name, make in QUALITY.items()}
    )

    def add(self, row: SeenRow) -> None:
        """Give a row to each."""
        for tally in self._all():
            tally.add(row)

    def merge(self, later: "Tallies") -> None:
        """Take in the tallies of the part that follows."""
        for tally, other in zip(self._all(), later._all(), strict=True):
            tally.merge(other)

    def _all(self) -> Iterator[Tally]:
        yield self.formats
        yield self.lengths
        yield self.repeats
        yield self.drift
        yield from self.quality.values()


def check_file(
    path: Path,
    *,
    model: str,
    valid: Path | None = None,
    suites: Sequence[SuitePrompt] = (),
    expected_refusals: float | None = None,
    engine: Engine = ONE_PROCESS,
) -> DatasetReport:
    """Check a training file, and its validation file, for a job on `model`.

    Args:
        path: JSONL, plain or gzipped.
        model: The base model's name.
        valid: The validation file of the same job.
        suites: What the suites ask, which must not be trained on.
        expected_refusals: The share of refusals expected in production, 0..1.
        engine: Who reads the files; the report is the same whoever does.

    Raises:
        UsageError: A file is not there or cannot be read.
        StorageError: Who was to read a part of it is gone.
    """
    told = engine.progress
    with (
        plain(path, progress=told) as file,
        plain(valid, progress=told) if valid else nullcontext() as held,
    ):
        report = _checked(
            Setting(
                path=file,
                model=model,
                example_limit=example_limit(model),
                expected_refusals=expected_refusals,
            ),
            valid=held,
            suites=suites,
            engine=engine,
        )
    other = report.valid
    return replace(
        _named(report, path), valid=None if other is None or valid is None else _named(other, valid)
    )


def _named(report: DatasetReport, path: Path) -> DatasetReport:
    """The report of a file that was unpacked to be read, under its own name."""
    return report if report.path == path else replace(report, path=path, digest=file_digest(path))


def _checked(
    setting: Setting, *, valid: Path | None, suites: Sequence[SuitePrompt], engine: Engine
) -> DatasetReport:
    path, model = setting.path, setting.model
    tallies = tally_file(path, model=model, engine=engine)
    more = [*retirement(model, price_of(model)), *unknown_tokenizer(model)]
    more += suite_leaks(tallies.repeats, suites, path=path) if suites else []
    more += suite_drift(tallies.drift, suites, path=path)
    if valid is None:
        return _report(tallies, setting, more=more, valid=None)
    held = tally_file(valid, model=model, engine=engine)
    more += validation_leaks(tallies.repeats, held.repeats, paths=(path, valid))
    more += validation_drift(tallies.drift, held.drift, paths=(path, valid))
    other = _report(
        held, replace(setting, path=valid, fewest_examples=1, expected_refusals=None), more=[], valid=None
    )
    return _report(tallies, setting, more=more, valid=other)


def tally_file(path: Path, *, model: str, engine: Engine = ONE_PROCESS) -> Tallies:
    """Every tally of a file, which is read once."""
    parts = engine.parts(path, partial(tally_lines, model=model))
    tallies = next(parts, Tallies())
    for part in parts:
        tallies.merge(part)
    return tallies


def tally_lines(lines: Iterable[Line], *, model: str) -> Tallies:
    """Every tally of a file's lines, or of those of a part."""
    tallies = Tallies()
    for row in seen_rows(lines, model=model):
        tallies.add(row)
    return tallies


def seen_rows(lines: Iterable[Line], *, model: str) -> Iterator[SeenRow]:
    """Lines with everything tallies ask of them."""
    for chunk in chunks(lines):
        yield from _seen(chunk, model)


def _seen(chunk: Sequence[Line], model: str) -> Iterator[SeenRow]:
    problems = [() if line.fault else tuple(row_problems(line.row)) for line in chunk]
    examples = [
        None if line.fault or found else example_of(line.number, line.row)
        for line, found in zip(chunk, problems, strict=True)
    ]
    counts = iter(count_rows([example for example in examples if example], model=model))
    for line, found, example in zip(chunk, problems, examples, strict=True):
        yield SeenRow(line=line, problems=found, example=example, tokens=next(counts) if example else None)


def _report(
    tallies: Tallies, setting: Setting, *, more: Sequence[Finding], valid: DatasetReport | None
) -> DatasetReport:
    formats, lengths = tallies.formats, tallies.lengths
    examples = len(lengths.lines)
    billed = lengths.billed_tokens(limit=setting.example_limit)
    epochs = default_epochs(examples)
    labels, refusals = _labels(tallies), _refusals(tallies, setting)
    tallies.drift = DriftTally()
    return DatasetReport(
        path=setting.path,
        digest=file_digest(setting.path),
        model=setting.model,
        encoding=encoding_for(setting.model),
        form=formats.form,
        rows=formats.rows,
        examples=examples,
        errors=tuple(formats.errors),
        error_counts=dict(formats.counts),
        warnings=(*formats.findings(setting), *lengths.findings(setting), *more),
        findings=tuple(_quality_findings(tallies, setting)),
        tokens=lengths.distributions(),
        histograms=lengths.histograms(),
        labels=labels,
        refusals=refusals,
        script_tokens=sum(lengths.script),
        billed_tokens=billed,
        example_limit=setting.example_limit,
        epochs=epochs,
        batch_size=default_batch_size(examples),
        learning_rate_multiplier=default_multiplier(setting.model),
        cost=_cost(lengths, setting, formats.form, billed=billed * epochs),
        valid=valid,
    )


def _quality_findings(tallies: Tallies, setting: Setting) -> Iterator[Finding]:
    """What every check has to say; each is forgotten then, because the next may need its memory."""
    yield from tallies.repeats.findings(setting)
    tallies.repeats = RepeatsTally()
    while tallies.quality:
        name = next(iter(tallies.quality))
        yield from tallies.quality[name].findings(setting)
        del tallies.quality[name]


def _labels(tallies: Tallies) -> Mapping[str, int]:
    balance = tallies.quality.get("balance")
    return balance.labels() if isinstance(balance, BalanceTally) else {}


def _refusals(tallies: Tallies, setting: Setting) -> RefusalShare | None:
    refusals = tallies.quality.get("refusals")
    return refusals.share(setting.expected_refusals) if isinstance(refusals, RefusalsTally) else None


def _cost(lengths: LengthTally, setting: Setting, form: Form | None, *, billed: int) -> TrainingCost:
    rows = max(1, len(lengths.lines))
    answer = sum(lengths.answers) / rows
    use = TokenUse(billed=billed, prompt=sum(lengths.billed) / rows - answer, answer=answer)
    base, tuned = price_of(setting.model), price_of(f"ft:{setting.model}:a::b")
    return training_cost(form, use, base=base, tuned=tuned)
