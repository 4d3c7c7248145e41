"""Are some labels so rare that the model will hardly learn them?"""

from collections import Counter
from collections.abc import Iterator, Mapping

from harness.dataset.examples import answer_of
from harness.dataset.findings import Finding, first_lines
from harness.dataset.near_duplicates import form_of_text
from harness.dataset.tallies import SeenRow, Setting

LONGEST_LABEL = 60
# Answers are labels when each stands for this many rows on average, and there are no more of them.
LEAST_ROWS_A_LABEL = 10
MOST_LABELS = 100
# Labels with fewer rows are rare; and so are those with this share of an even one, unless they have as many as improvements are usually
# seen from (OpenAI's guide says 50 to 100).
FEW_ROWS = 5
LEAST_SHARE_OF_EVEN = 0.2
ENOUGH_ROWS = 50
# Different short answers beyond which a file's answers are no labels, and are no longer counted.
_MOST_COUNTED = 10_000
_SHOWN_LABELS = 8
_LINES_OF_A_LABEL = 5


class BalanceTally:
    """How often each short answer occurs, and its first lines."""

    def __init__(self) -> None:
        self._answers = 0
        self._long = 0
        self._counts: Counter[str] = Counter()
        self._first: dict[str, list[int]] = {}

    def add(self, row: SeenRow) -> None:
        """Take a row; only examples with a written answer count."""
        answer = answer_of(row.example) if row.example else None
        if answer is None:
            return
        self._answers += 1
        if len(answer) > LONGEST_LABEL or len(self._counts) > _MOST_COUNTED:
            self._long += 1
            return
        label = form_of_text(answer)
        self._counts[label] += 1
        self._keep(label, [row.line.number])

    def merge(self, later: "BalanceTally") -> None:
        """Take in the next part."""
        self._answers += later._answers
        self._long += later._long
        if self.may_be_labels:
            self._counts.update(later._counts)
            for label, lines in later._first.items():
                self._keep(label, lines)
            self._long += len(self._counts) > _MOST_COUNTED

    def _keep(self, label: str, lines: list[int]) -> None:
        kept = self._first.setdefault(label, [])
        kept += lines[: _LINES_OF_A_LABEL - len(kept)]

    @property
    def may_be_labels(self) -> bool:
        """False once an answer was too long for a label: then no row that follows can make labels of them."""
        return not self._long

    def labels(self) -> Mapping[str, int]:
        """How often each label occurs, the most frequent first; empty where the answers are no labels."""
        labels = len(self._counts)
        if self._long or not 1 < labels <= min(MOST_LABELS, self._answers / LEAST_ROWS_A_LABEL):
            return {}
        return dict(self._counts.most_common())

    def findings(self, setting: Setting) -> Iterator[Finding]:  # noqa: ARG002 - the same for every model
        """Rare labels, where the answers are labels at all."""
        counts = self.labels()
        if not counts:
            return
        labels = len(counts)
        even = self._answers / labels
        rare = {
            label: count
            for label, count in counts.items()
            if count < max(FEW_ROWS, min(ENOUGH_ROWS, LEAST_SHARE_OF_EVEN * even))
        }
        if rare:
            told = ", ".join(f"{label!r} {count}" for label, count in [*rare.items()][-_SHOWN_LABELS:])
            yield Finding(
                name="rare_labels",
                level="warning",
                what=f"{len(rare)} of {labels} labels {'is' if len(rare) == 1 else 'are'} rare: {told}; {even:,.0f} rows would be even",
                count=sum(rare.values()),
                lines=first_lines(line for label in rare for line in self._first[label]),
                why="a model learns to leave out what it hardly sees",
                remedy="add rows of these labels, or fold them into others",
                figures={"labels": {**counts}},
            )
