"""Two runs side by side in a terminal: who, what is set otherwise, a line a suite, the cases that changed."""

from collections.abc import Iterator, Sequence

from harness.records import Change, Manifest, Run, SuiteVerdict
from harness.report.two_runs import RunComparison

# So many ids of a suite are listed; JSON has all of them.
MOST_IDS = 20
# Columns of words; the others are numbers and stand to the right.
_WORDS = {0, 6}


def comparison_lines(earlier: Run, later: Run, comparison: RunComparison) -> Iterator[str]:
    """The comparison, line by line; shares are in percent, differences in points, B minus A."""
    yield _who("A", earlier.manifest)
    yield _who("B", later.manifest)
    for difference in comparison.set_up:
        yield f"differs   {difference}"
    yield ""
    if comparison.suites:
        yield from _table(comparison)
        yield ""
        yield from (suite.reason for suite in comparison.suites.values())
        yield from _changes(comparison)
    for name, (before, after) in comparison.only.items():
        if before or after:
            yield f"left out  {name}: cases only in A {before}, only in B {after}"
    for name, why in comparison.refused.items():
        yield f"refused   {name}: {why}"
    if not comparison.suites:
        yield "nothing can be compared: the two runs share no case"


def _who(letter: str, manifest: Manifest) -> str:
    facts = manifest.models.get("candidate")
    who = f"{facts.model} ({facts.endpoint})" if facts else "no candidate"
    ended = "" if manifest.status == "complete" else f", {manifest.status}"
    return f"{letter}  {manifest.id}  {who}{ended}"


def _table(comparison: RunComparison) -> Iterator[str]:
    rows = [
        ("suite", "cases", "A", "B", "B - A", "90 % interval", "decided by"),
        *(_cells(suite) for suite in comparison.suites.values()),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    yield from (_line(row, widths) for row in rows)


def _cells(suite: SuiteVerdict) -> tuple[str, ...]:
    interval = (
        "–" if suite.interval is None else " .. ".join(f"{bound * 100:+.1f}" for bound in suite.interval)
    )
    difference = "–" if suite.difference is None else f"{suite.difference * 100:+.1f}"
    return (
        suite.name,
        str(suite.cases),
        _share(suite.reference),
        _share(suite.candidate),
        difference,
        interval,
        suite.rule,
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.1f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if column in _WORDS else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def _changes(comparison: RunComparison) -> Iterator[str]:
    """`improved  routing: 3 (refund-1, refund-2, crash-1)`."""
    changes: tuple[Change, ...] = ("improved", "regressed")
    for change in changes:
        for name in comparison.suites:
            ids = [case.case for case in comparison.cases if (case.suite, case.change) == (name, change)]
            if ids:
                more = f", and {len(ids) - MOST_IDS} more: --json" if len(ids) > MOST_IDS else ""
                yield f"{change:<9} {name}: {len(ids)} ({', '.join(ids[:MOST_IDS])}{more})"
