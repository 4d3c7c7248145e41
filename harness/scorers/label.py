"""Which one of the declared labels does the answer name?"""

from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from typing import ClassVar

import regex

from harness.records import Case, Completion, Score, record
from harness.serial import nearest, shown
from harness.texts.labels import label_meanings, label_meant, wordings
from harness.texts.normalisation import fold, normalise, without_answer_prefix

# A label must stand alone: `bug` is not in `debug`, `bug-free` or `C` in `C++`. Han letters next to it
# are no obstacle, because Chinese has no spaces.
_WORD = r"[[\p{L}\p{N}\p{M}_]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]]"
_BEFORE = rf"(?<!{_WORD})(?<!{_WORD}[-'])"
_AFTER = rf"(?!{_WORD})(?![-']{_WORD})(?![+#])"
# "not a bug" names no label.
_NEGATION = (
    r"(?P<negated>(?:\b(?:not|isn't|no|never|neither|nor|non)[ -](?:an? |the |about |in )?"
    r"|并?不是|并非|不属于|而?非|不)[\"'「“]?)?"
)

# Where a label is looked for inside an answer: a longer answer is a model that does not stop.
MAX_SEARCHED_CHARACTERS = 100_000


@record
class Label:
    """The answer is one of a closed list of labels, and the expected one.

    Read are: the whole answer as a label or an alias, after an optional `Answer:`; else, unless
    `exact`, the one label that occurs in it as a word. Two different labels are an invalid answer,
    because whoever uses it downstream could not tell which is meant either.
    """

    labels: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other wordings and the label they mean, e.g. `{invoice: billing}`."""
    exact: bool = False
    """Whether the label must be the whole answer: for outputs that a program consumes."""

    measures: ClassVar[tuple[str, ...]] = ("invalid",)
    suite_metrics: ClassVar[tuple[str, ...]] = ("macro_f1",)
    """What only all answers of a suite together have; `harness.verdict` computes it."""

    def __post_init__(self) -> None:
        """Refuse lists that cannot tell two labels apart."""
        if len(self.labels) < 2:
            raise ValueError("`labels` needs at least two labels; with one there is nothing to tell apart")
        meanings: dict[str, str] = {}
        for wording, label in wordings(self.labels, self.aliases):
            if label not in self.labels:
                raise ValueError(
                    f"alias {shown(wording)} means {shown(label)}, which is no label; "
                    f"{nearest(label, self.labels)}"
                )
            other = meanings.setdefault(normalise(wording), label)
            if not normalise(wording) or other != label:
                raise ValueError(f"{shown(wording)} could mean {shown(other)} or {shown(label)}; keep one")
        if len({normalise(label) for label in self.labels}) < len(self.labels):
            raise ValueError("two labels differ only in case, spacing or punctuation; keep one")

    def check_case(self, case: Case) -> str | None:
        """Why this case cannot be judged, if so."""
        if case.expected is None:
            return "needs `expected`: the right label"
        if self._expected(case) is None:
            return f"`expected` is {shown(case.expected)}, which is no label; {self._nearest(case.expected)}"
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """1 when the label read is the expected one; none, or more than one, is invalid and 0."""
        expected = self._expected(case)
        if expected is None:
            return Score(value=None, reason=self.check_case(case) or "")
        read = self.read(completion.text)
        invalid = len(read) != 1
        if not read:
            reason = f"expected {shown(expected)}, found no label in {shown(completion.text)}"
        elif invalid:
            reason = f"expected {shown(expected)}, but the answer names {' and '.join(map(shown, read))}"
        else:
            reason = f"expected {shown(expected)}, read {shown(read[0])}"
        return Score(
            value=float(read == (expected,)),
            reason=reason,
            answer=None if invalid else read[0],
            measures={"invalid": float(invalid)},
        )

    def read(self, text: str) -> tuple[str, ...]:
        """The different labels that the answer names, in order of appearance."""
        meanings = label_meanings(self.labels, self.aliases)
        for candidate in (text, without_answer_prefix(text)):
            label = meanings.get(normalise(candidate))
            if label is not None:
                return (label,)
        if self.exact:
            return ()
        mentions = _pattern(tuple(meanings)).finditer(fold(text[:MAX_SEARCHED_CHARACTERS]))
        found = (meanings[mention["wording"]] for mention in mentions if not mention["negated"])
        return tuple(dict.fromkeys(found))

    def _expected(self, case: Case) -> str | None:
        return label_meant(case.expected, label_meanings(self.labels, self.aliases))

    def _nearest(self, value: object) -> str:
        return nearest(str(value), self.labels)


@lru_cache(maxsize=64)
def _pattern(wordings: tuple[str, ...]) -> "regex.Pattern[str]":
    """All wordings, longest first, so that `bug report` is not read as `bug`."""
    longest_first = sorted(wordings, key=len, reverse=True)
    any_of = "|".join(map(regex.escape, longest_first))
    return regex.compile(rf"{_NEGATION}{_BEFORE}(?P<wording>{any_of}){_AFTER}", regex.V1)
