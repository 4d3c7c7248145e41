"""Do the people agree who labelled the data, and how well can a model then do?

Two shapes carry several people's answers: rows that ask the same with labels for answers, and rows with a list of labels under a
name such as `annotations` or `votes` (a job refuses the key, but a source file has it). A list is no vote when it never repeats a label in any
row (tags, alternatives), holds the same labels in every row (one of several set to 1), or goes with a list of tokens. Copies
of a row look like people who agree: rows that ask the same are people's only where a good part of the questions is asked so; else they are
repeats, told as such.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness.dataset.examples import answer_of, prompt_of, system_of
from harness.dataset.findings import SHOWN_LINES, Finding, first_lines
from harness.dataset.near_duplicates import form_of_text
from harness.dataset.quality.balance import LEAST_ROWS_A_LABEL, LONGEST_LABEL, MOST_LABELS, BalanceTally
from harness.dataset.quality.repeats import key_of
from harness.dataset.tallies import SeenRow, Setting
from harness.records import Json
from harness.reliability import RELIABLE_ALPHA, TENTATIVE_ALPHA, Reliability, reliability_of

# Where rows keep several people's answers, and what an answer's label is called when it is an object.
VOTE_KEYS = (
    "annotations",
    "annotator_labels",
    "answers",
    "judgements",
    "judgments",
    "labels",
    "ratings",
    "votes",
)
_LABEL_KEYS = ("label", "answer", "value", "rating", "choice", "annotation", "vote")
# Lists beside which labels are of the words of a text, not of people.
_TOKEN_KEYS = frozenset({"tokens", "words"})
_MOST_VOTES = 50
# Fewer items say little about people's agreement.
LEAST_ITEMS = 20
# Rows that ask the same are several people's where at least this share of the questions has several.
LEAST_ASKED_AGAIN = 0.2
# Different ways to vote beyond which the lists are texts, and no longer counted.
_MOST_WAYS = 20_000


class AgreementTally:
    """How each list of labels was voted on, and the label each question got: 24 bytes a row where answers are labels."""

    def __init__(self) -> None:
        self._lists = {key: _Lists() for key in VOTE_KEYS}
        self._balance = BalanceTally()
        self._lines = array("Q")
        self._prompts = array("Q")
        self._labels = array("Q")

    def add(self, row: SeenRow) -> None:
        """Take a row, whatever is wrong with it: the keys that hold votes are wrong in a job's file."""
        given = row.line.row
        if isinstance(given, Mapping) and not given.keys() & _TOKEN_KEYS:
            for key in VOTE_KEYS:
                if key in given and (voted := _votes(given[key])):
                    self._lists[key].add(voted, row.line.number)
        answer = answer_of(row.example) if row.example else None
        if row.example is None or answer is None or not self._balance.may_be_labels:
            return
        self._balance.add(row)
        self._lines.append(row.line.number)
        self._prompts.append(key_of(f"{system_of(row.example)}\0{prompt_of(row.example)}"))
        self._labels.append(key_of(answer))
        self._forget_texts()

    def merge(self, later: "AgreementTally") -> None:
        """Take in the next part."""
        for key, lists in later._lists.items():
            self._lists[key].merge(lists)
        self._balance.merge(later._balance)
        self._lines.extend(later._lines)
        self._prompts.extend(later._prompts)
        self._labels.extend(later._labels)
        self._forget_texts()

    def _forget_texts(self) -> None:
        if not self._balance.may_be_labels:
            self._lines, self._prompts, self._labels = array("Q"), array("Q"), array("Q")

    def findings(self, setting: Setting) -> Iterator[Finding]:  # noqa: ARG002 - the same for every model
        """How far people agree, for each place that tells it, where they do not agree well."""
        for key, lists in self._lists.items():
            if lists.are_votes():
                yield from _findings(reliability_of(lists.ways), lists.disputed, f"the lists `{key}`")
        if self._balance.labels():
            questions, ways, disputed = self._asked_again()
            if sum(ways.values()) >= LEAST_ASKED_AGAIN * questions:
                yield from _findings(reliability_of(ways), disputed, "rows that ask the same")

    def _asked_again(self) -> tuple[int, Mapping[tuple[int, ...], int], list[int]]:
        """How many questions there are, how those asked several times were answered, and the lines of those with different answers."""
        prompts, labels = (
            np.frombuffer(self._prompts, dtype=np.uint64),
            np.frombuffer(self._labels, dtype=np.uint64),
        )
        order = np.lexsort((labels, prompts))
        cuts = np.flatnonzero(np.diff(prompts[order])) + 1
        ways: Counter[tuple[int, ...]] = Counter()
        disputed: list[int] = []
        for group in np.split(order, cuts):
            if len(group) > 1:
                way = tuple(labels[group].tolist())
                ways[way] += 1
                if way[0] != way[-1]:
                    disputed += [self._lines[index] for index in group.tolist()]
        return len(cuts) + 1, ways, disputed


class _Lists:
    """How often labels were listed in each way, and the first lines with different ones."""

    def __init__(self) -> None:
        self.ways: Counter[tuple[str, ...]] = Counter()
        self.disputed: list[int] = []
        self._are_texts = False

    def add(self, voted: tuple[str, ...], line: int) -> None:
        if not self._are_texts:
            self.ways[voted] += 1
            if voted[0] != voted[-1] and len(self.disputed) < SHOWN_LINES:
                self.disputed.append(line)
            self._forget_texts()

    def merge(self, later: "_Lists") -> None:
        self._are_texts |= later._are_texts
        self.ways.update(later.ways)
        self.disputed += later.disputed[: SHOWN_LINES - len(self.disputed)]
        self._forget_texts()

    def _forget_texts(self) -> None:
        if self._are_texts or len(self.ways) > _MOST_WAYS:
            self._are_texts, self.ways, self.disputed = True, Counter(), []

    def are_votes(self) -> bool:
        """Whether the lists look like people's labels for one item."""
        labels = {label for way in self.ways for label in way}
        answers = sum(len(way) * count for way, count in self.ways.items())
        repeats = any(len({*way}) < len(way) for way in self.ways)
        return (
            repeats and len(self.ways) > 1 and len(labels) <= min(MOST_LABELS, answers / LEAST_ROWS_A_LABEL)
        )


def _votes(given: Json) -> tuple[str, ...] | None:
    """The labels of a list, sorted; None when it is no list of two and more."""
    if not isinstance(given, list) or not 1 < len(given) <= _MOST_VOTES:
        return None
    labels = [_label(item) for item in given]
    told = sorted(label for label in labels if label)
    return tuple(told) if None not in labels and len(told) > 1 else None


def _label(item: Json) -> str | None:
    """An answer's label; empty where somebody gave none, None when it is no label."""
    if isinstance(item, Mapping):
        item = next((item[key] for key in _LABEL_KEYS if key in item), item)
    if item is None:
        return ""
    if not isinstance(item, str | int | float) or len(str(item)) > LONGEST_LABEL:
        return None
    return form_of_text(str(item))


def _findings(found: Reliability | None, disputed: Sequence[int], where: str) -> Iterator[Finding]:
    if found is None or found.items < LEAST_ITEMS or found.alpha >= RELIABLE_ALPHA:
        return
    yield Finding(
        name="annotator_agreement",
        level="warning" if found.alpha < TENTATIVE_ALPHA else "note",
        what=f"people who labelled the same {found.items:,} items ({where}) agree in {found.agreement:.0%} of the pairs, where chance "
        f"gives {found.by_chance:.0%}: Krippendorff's alpha is {found.alpha:.2f} (95 % interval {found.low:.2f} to {found.high:.2f})",
        count=len(disputed),
        lines=first_lines(disputed),
        why=f"what people do not agree on cannot be learned: a model that always gives the most frequent label agrees with one of them in "
        f"{found.ceiling:.0%}, and one that is as undecided as they are in {found.match:.0%}",
        remedy="say in the guideline how the cases they differ on are to be decided, and have these labelled again; expect no score above "
        f"{found.ceiling:.0%} against one person's labels",
        figures={
            "items": found.items,
            "alpha": found.alpha,
            "alpha_low": found.low,
            "alpha_high": found.high,
            "pairwise_agreement": found.agreement,
            "agreement_by_chance": found.by_chance,
            "ceiling_as_undecided": found.match,
            "ceiling_of_majority": found.ceiling,
        },
    )
