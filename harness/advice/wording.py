"""How advice says its figures: plain, with units, the same everywhere."""

import shlex

from harness.dataset import Finding
from harness.verdict.sentences import count, listed, percent, points

__all__ = ["count", "dollars", "lines_of", "listed", "losses", "percent", "points", "quoted"]

_SHOWN_LINES = 5


def losses(before: float | None, after: float | None) -> str:
    """`1.20 to 0.34`; small ones with the digits they need."""
    return " to ".join("unknown" if value is None else loss(value) for value in (before, after))


def loss(value: float) -> str:
    """`0.34`, `0.0042`."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def lines_of(finding: Finding) -> str:
    """`lines 3, 8, 21 and 40 more`; empty where a finding is of no line."""
    if not finding.lines:
        return ""
    shown = finding.lines[:_SHOWN_LINES]
    more = finding.count - len(shown)
    told = ", ".join(map(str, shown)) + (f" and {more:,} more" if more > 0 else "")
    return f"{'line' if finding.count == 1 else 'lines'} {told}"


def dollars(value: float) -> str:
    """`0.42 USD`."""
    return "under 0.01 USD" if value < 0.01 else f"{value:,.2f} USD"


def quoted(name: str) -> str:
    """A file's or a model's name as a shell takes it."""
    return shlex.quote(name)
