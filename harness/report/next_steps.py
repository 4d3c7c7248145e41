"""Advice in a terminal: at most three lines, the first of which is the next thing to do."""

from collections.abc import Iterator, Sequence

from harness.records import Advice
from harness.report.lines import Line, printable


def advice_lines(given: Sequence[Advice], *, run: str) -> Iterator[Line]:
    """The first advice and what it saw, then the second; the command that tells all.

    Args:
        given: The advice on a run, the first thing first.
        run: The run's id.
    """
    if not given:
        return
    first, *others = given
    yield Line(text=f"advice: {printable(first.says)}", bold=True)
    yield Line(text=f"  saw: {printable(first.saw)}")
    if others:
        more = f" ({len(others)} more: harness advice {run})" if len(others) > 1 else ""
        yield Line(text=f"  then: {printable(others[0].says)}{more}")
