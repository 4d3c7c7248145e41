"""How is a whole file judged without holding it? Every check keeps a tally of its own, fed row by row.

A file can be read in parts, on several cores or machines: each part has its own tallies, merged in the order of the
parts, and the result is that of one reading.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from harness.dataset.examples import Example
from harness.dataset.findings import Finding
from harness.dataset.lines import Line
from harness.dataset.mistakes import RowProblem
from harness.records import record

_Own = TypeVar("_Own")


@record
class RowTokens:
    """Tokens of one row in the model's encoding.

    Attributes:
        script: What the official script counts, extended to what it cannot read (parts, calls).
        billed: What one epoch is billed, before the example limit cuts it.
        answers: What assistants wrote and a job learns.
    """

    script: int
    billed: int
    answers: int


@record
class SeenRow:
    """A line as every tally gets it: what it held, what is wrong with it, and the example it is if nothing is."""

    line: Line
    problems: tuple[RowProblem, ...] = ()
    example: Example | None = None
    tokens: RowTokens | None = None


@record
class Setting:
    """What a finding is judged against.

    Attributes:
        path: The file, for checks that look at some rows again.
        model: The base model's name.
        example_limit: Tokens of a row beyond which a job cuts it; None when the model's limit is not known.
        fewest_examples: Rows below which a job refuses the file.
        expected_refusals: The share of refusals expected in production, 0..1; None when nobody said.
    """

    path: Path
    model: str
    example_limit: int | None = None
    fewest_examples: int = 10
    expected_refusals: float | None = None


class Tally(Protocol):
    """One check's memory of the rows it was given; small against the file, and picklable."""

    def add(self, row: SeenRow) -> None:
        """Take the next row of this part."""

    def merge(self: _Own, later: _Own) -> None:
        """Take in the tally of the part that follows this one; `later` is not used again."""

    def findings(self, setting: Setting) -> Iterator[Finding]:
        """What there is to say, once every row has been taken."""
