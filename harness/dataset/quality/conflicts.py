"""Do the answers to one question say the same, and if not, how are they divided?"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import log2

from harness.dataset.near_duplicates import form_of_text
from harness.records import record
from harness.texts.similarity import chrf

# Answers up to this length, in characters, are taken for labels: any difference but a full stop is a conflict.
LONGEST_LABEL = 60
LEAST_CHRF = 0.3
# Different answers of one question that are compared with each other, the most frequent ones.
_MOST_ANSWERS = 8
_FULL_STOPS = " .!。！"
_NOT_READ = "…"


@record
class Conflict:
    """One question's answers: a wording of each that says something else, with how often it is said, the most frequent first."""

    answers: tuple[tuple[str, int], ...]

    @property
    def rows(self) -> int:
        """How many rows ask the question."""
        return sum(count for _, count in self.answers)

    @property
    def majority(self) -> int:
        """How many of them a model can agree with at most."""
        return self.answers[0][1]

    @property
    def entropy_bits(self) -> float:
        """How divided they are: 0 where one answer is all there is, 1 where two are given equally often."""
        shares = [count / self.rows for _, count in self.answers]
        return -sum(share * log2(share) for share in shares)


def conflict_of(answers: Sequence[int], text_of: Callable[[int], str]) -> Conflict | None:
    """How the answers to a question are divided; None where all say the same.

    Args:
        answers: A key of each row's answer, by which equal ones are known.
        text_of: The answer at a place of `answers`.
    """
    counts = Counter(answers)
    if len(counts) == 1:
        return None
    first: Mapping[int, int] = {key: place for place, key in reversed([*enumerate(answers)])}
    said: list[list[tuple[str, int]]] = []
    for key, count in counts.most_common(_MOST_ANSWERS):
        text = text_of(first[key])
        same = next((others for others in said if not _differ(others[0][0], text)), None)
        if same is None:
            said.append([(text, count)])
        else:
            same.append((text, count))
    if len(said) == 1:
        return None
    told = [(texts[0][0], sum(count for _, count in texts)) for texts in said]
    # What was not compared may say the same as another: it is taken for an answer of its own.
    told += [(_NOT_READ, count) for _, count in counts.most_common()[_MOST_ANSWERS:]]
    return Conflict(answers=tuple(sorted(told, key=lambda answer: -answer[1])))


def _differ(one: str, other: str) -> bool:
    if max(len(one), len(other)) <= LONGEST_LABEL:
        return form_of_text(one).rstrip(_FULL_STOPS) != form_of_text(other).rstrip(_FULL_STOPS)
    return chrf(one, other) < LEAST_CHRF
