"""Does the data teach the model to refuse more, or less, than it should in production?

A model refuses about as often as its training rows do: with 60 % of refusals where 5 % are wanted it will refuse what it should answer.
The share is judged by its 95 % Wilson interval: it is wrong when what is expected lies outside and is more than 5 points, and half
of what is expected, away.
"""

from array import array
from collections.abc import Iterator
from math import sqrt
from statistics import NormalDist

from harness.dataset.examples import answer_of
from harness.dataset.findings import Finding, first_lines
from harness.dataset.report import RefusalShare
from harness.dataset.tallies import SeenRow, Setting
from harness.texts import read_refusal

LEAST_DIFFERENCE = 0.05
LEAST_RELATIVE_DIFFERENCE = 0.5
# Without an expectation, more refusals than this are worth a look.
UNEXPECTED_SHARE = 0.2


class RefusalsTally:
    """Which rows end in a refusal."""

    def __init__(self) -> None:
        self._answered = 0
        self._refused = array("Q")

    def add(self, row: SeenRow) -> None:
        """Take a row; only examples with a written answer count."""
        answer = answer_of(row.example) if row.example else None
        if answer is None:
            return
        self._answered += 1
        if read_refusal(answer).kind in {"decline", "cannot"}:
            self._refused.append(row.line.number)

    def merge(self, later: "RefusalsTally") -> None:
        """Take in the next part."""
        self._answered += later._answered
        self._refused.extend(later._refused)

    def share(self, expected: float | None) -> RefusalShare | None:
        """How many answers refuse; None where no row has a written answer."""
        if not self._answered:
            return None
        return RefusalShare(answers=self._answered, refusals=len(self._refused), expected=expected)

    def findings(self, setting: Setting) -> Iterator[Finding]:
        """The share of refusals against the one that is expected."""
        if not self._answered:
            return
        count = len(self._refused)
        share = count / self._answered
        low, high = _wilson(count, self._answered)
        expected = setting.expected_refusals
        if expected is None:
            if share > UNEXPECTED_SHARE:
                yield self._finding(
                    share,
                    f"{share:.0%} of the answers refuse ({count:,} of {self._answered:,})",
                    "say how often the model should refuse: --expect-refusals 0.05",
                )
            return
        apart = abs(share - expected)
        if low <= expected <= high or apart <= max(LEAST_DIFFERENCE, LEAST_RELATIVE_DIFFERENCE * expected):
            return
        told = (
            f"{share:.0%} of the answers refuse (95 % interval {low:.0%} to {high:.0%}); "
            f"{expected:.0%} are expected in production"
        )
        yield self._finding(share, told, self._remedy(expected, count))

    def _remedy(self, expected: float, count: int) -> str:
        others = self._answered - count
        wanted = round(expected * others / (1 - expected)) if expected < 1 else count
        if count > wanted:
            return f"remove {count - wanted:,} of the refusals, or add rows that answer: {wanted:,} refusals go with {others:,} answers"
        return f"add {wanted - count:,} rows that refuse what the model should refuse"

    def _finding(self, share: float, what: str, remedy: str) -> Finding:
        return Finding(
            name="refusal_share",
            level="warning",
            what=what,
            count=len(self._refused),
            lines=first_lines(self._refused),
            why="a model refuses about as often as its training data does",
            remedy=remedy,
            figures={"share": share, "answers": self._answered},
        )


def _wilson(count: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; scipy has it too, and takes 75 MB and two seconds to import."""
    z = NormalDist().inv_cdf(0.975)
    middle = (count + z * z / 2) / (total + z * z)
    half = z / (total + z * z) * sqrt(count * (total - count) / total + z * z / 4)
    return middle - half, middle + half
