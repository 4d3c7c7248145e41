"""What a terminal and a page both say of a checked training file: its findings in order, their lines, money, the answer, what to do next."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from harness.dataset import DatasetReport, Finding
from harness.dataset.findings import Level
from harness.dataset.shapes import conversion_of
from harness.report.notation import counted

LEVELS: tuple[Level, ...] = ("error", "warning", "note")
_CENTS_ENOUGH = 0.1
"""From this amount in USD on, two decimals tell it from others."""


def findings_of(report: DatasetReport) -> tuple[Finding, ...]:
    """Warnings and findings in one list: the gravest first, of those those that concern most rows, those that concern none last."""
    found = (*report.warnings, *report.findings)
    return tuple(sorted(found, key=lambda finding: (LEVELS.index(finding.level), -finding.count)))


def level_counts(report: DatasetReport) -> dict[Level, int]:
    """How many findings of each level the file and its validation file have, the gravest first."""
    levels = [finding.level for file in _files(report) for finding in findings_of(file)]
    return {level: levels.count(level) for level in LEVELS if level in levels}


def mistakes_of(report: DatasetReport) -> int:
    """The mistakes of the file and its validation file."""
    return sum(sum(file.error_counts.values()) for file in _files(report))


def answer_of_check(report: DatasetReport) -> str:
    """`2 mistakes, 1 warning: not fit for a job`."""
    mistakes = mistakes_of(report)
    told = [counted(mistakes, "mistake")] if mistakes else []
    told += [counted(number, level) for level, number in level_counts(report).items()]
    before = f"{', '.join(told)}: " if told else ""
    return f"{before}{'fit' if report.is_fit else 'not fit'} for a job"


def next_step(report: DatasetReport) -> str:
    """What to do first, a command between backticks."""
    if not report.is_fit:
        return _mending(next(file for file in _files(report) if not replace(file, valid=None).is_fit))
    grave = [
        finding
        for file in _files(report)
        for finding in findings_of(file)
        if finding.level == "warning" and finding.lines
    ]
    if grave:
        first = max(grave, key=lambda finding: finding.count)
        return f"settle what costs quality, {first.name} first (from line {first.lines[0]} on)"
    if report.valid is None:
        return (
            f"`harness data split {shlex.quote(str(report.path))}` holds rows back, to validate the job with"
        )
    return "name both files under `[tool.harness]`, as `train` and `valid`; then `pytest suites/` tunes the model and judges it"


def _mending(file: DatasetReport) -> str:
    first = file.errors[0] if file.errors else None
    if first is None:
        return next(finding.remedy for finding in findings_of(file))
    if first.source and all(error.source for error in file.errors):
        return f"`{conversion_of(file.path, first.source)}`, then check what it wrote"
    return f"mend {file.path.name} from line {first.line} on, and check it again"


def told_lines(finding: Finding, most: int) -> str:
    """`3, 7-9 ... of 40`: at most so many numbers, those that follow each other as a range."""
    ranges = [*_ranges(finding.lines)]
    told = [f"{low}" if low == high else f"{low}-{high}" for low, high in ranges[:most]]
    shown = sum(high - low + 1 for low, high in ranges[:most])
    return ", ".join(told) + (f" ... of {finding.count:,}" if finding.count > shown else "")


def _ranges(lines: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Numbers that follow each other, three and more in one range."""
    run: list[int] = []
    for line in [*sorted(lines), -1]:
        if run and line != run[-1] + 1:
            if len(run) > 2:
                yield run[0], run[-1]
            else:
                yield from ((number, number) for number in run)
            run = []
        run.append(line)


def usd_digits(amounts: Sequence[float | None]) -> int:
    """The decimals of amounts that stand together: as many as the smallest needs."""
    known = [amount for amount in amounts if amount]
    return 2 if not known or min(known) >= _CENTS_ENOUGH else 4


def _files(report: DatasetReport) -> list[DatasetReport]:
    return [report, *([report.valid] if report.valid else [])]
