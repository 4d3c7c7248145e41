"""Are some labels wrong? Where answers are labels, those that the words of their question speak against."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from harness.dataset.examples import answer_of, example_of, prompt_of
from harness.dataset.findings import SHOWN_LINES, Finding, counted, first_lines
from harness.dataset.lines import Rereader
from harness.dataset.near_duplicates import form_of_text
from harness.dataset.quality.balance import BalanceTally
from harness.dataset.quality.extras import left_out, optional_module
from harness.dataset.quality.samples import RowSample
from harness.dataset.tallies import SeenRow, Setting
from harness.records import Json, record

# A label needs so many rows before the words of one can speak for it: two in each of the five folds.
LEAST_ROWS = 10
# Of a larger file a seeded sample is judged: the fit takes seconds for it, and what is wrong in a part is wrong in the whole.
MOST_ROWS = 20_000
# Rows times labels, which the time goes by: this takes about twenty seconds.
MOST_ROWS_AND_LABELS = 250_000
# So many are found in data that people labelled with care.
USUAL_SHARE = 0.025
_LISTED = 200
_TOLD = 3


@record
class Suspect:
    """A text whose label is doubted: its index, and the label its words speak for, with the probability (0..1)."""

    index: int
    suggested: str
    probability: float


class LabelsTally:
    """How often each label occurs, and where a sample of the rows stands."""

    def __init__(self) -> None:
        self._balance = BalanceTally()
        self._rows = RowSample(MOST_ROWS)

    def add(self, row: SeenRow) -> None:
        """Take a row; only examples with a written answer count."""
        if not self._balance.may_be_labels or row.example is None or answer_of(row.example) is None:
            return
        self._balance.add(row)
        self._rows.add(row.line.number, row.line.start)

    def merge(self, later: "LabelsTally") -> None:
        """Take in the next part."""
        self._balance.merge(later._balance)
        self._rows.merge(later._rows)

    def findings(self, setting: Setting) -> Iterator[Finding]:
        """Labels worth a second look."""
        counts = self._balance.labels()
        if sum(count >= LEAST_ROWS for count in counts.values()) < 2:
            return
        model = optional_module("harness.dataset.quality.label_model")
        if model is None:
            yield left_out("label_errors", looked_for="wrong labels", library="cleanlab")
            return
        judged = self._judged(setting)
        if len({row.label for row in judged}) < 2:
            return
        # Typed here, because the module is imported by its name.
        suspects: Callable[[Sequence[str], Sequence[str]], Sequence[Suspect]] = model.suspects
        found = suspects([row.asked for row in judged], [row.label for row in judged])
        if found:
            yield self._finding(judged, found)

    def _judged(self, setting: Setting) -> list["_Labelled"]:
        """The rows that are judged, read again: all, or a sample of many; those of labels with enough rows."""
        chosen = [*self._rows]
        most = MOST_ROWS_AND_LABELS // len(self._balance.labels())
        if len(chosen) > most:
            chosen = sorted(random.Random(0).sample(chosen, most))  # noqa: S311 - no secret
        rereader = Rereader(setting.path)
        try:
            rows = [_labelled(line, rereader.at(start).row) for line, start in chosen]
        finally:
            rereader.close()
        counts = Counter(row.label for row in rows)
        return [row for row in rows if counts[row.label] >= LEAST_ROWS]

    def _finding(self, judged: Sequence["_Labelled"], found: Sequence[Suspect]) -> Finding:
        doubted = [(judged[suspect.index], suspect) for suspect in found]
        share = len(found) / len(judged)
        told = "; ".join(
            f"line {row.line}: {row.label!r}, perhaps {suspect.suggested!r}"
            for row, suspect in doubted[:_TOLD]
        )
        sampled = "" if len(judged) == self._rows.offered else f" of {len(judged):,} that were judged"
        listed: list[Json] = [
            [row.line, row.label, suspect.suggested, round(suspect.probability, 3)]
            for row, suspect in doubted[:_LISTED]
        ]
        return Finding(
            name="label_errors",
            level="warning" if share > USUAL_SHARE else "note",
            what=f"{counted(len(found), 'label')}{sampled} ({share:.1%}) may be wrong: rows with such words have others "
            f"({told})",
            count=len(found),
            lines=first_lines(row.line for row, _ in doubted[:SHOWN_LINES]),
            why="what is labelled wrongly is learned wrongly, and judged wrongly where it is held back",
            remedy="read them, the most doubtful first (the page and the JSON report list them), and correct those that are wrong: about "
            "half were where this was tried",
            figures={"share": share, "judged": len(judged), "suspects": listed},
        )


@record
class _Labelled:
    line: int
    asked: str
    label: str


def _labelled(line: int, row: Json) -> _Labelled:
    example = example_of(line, row)
    return _Labelled(line=line, asked=prompt_of(example), label=form_of_text(answer_of(example) or ""))
