"""Does the answer recite the training file, asked for something else?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from harness.dataset.examples import Example, answer_of, example_of, prompt_of
from harness.dataset.examples import text_of as message_text
from harness.dataset.rows import row_problems
from harness.records import Case, Completion, Json, Score, record
from harness.scorers.judging import content_text, conversation_text
from harness.serial import shown
from harness.texts.copying import SUREST_CHARACTERS, CopyIndex, index_of
from harness.texts.normalisation import fold

_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Taught:
    """A training file as its recitations are found by: its answers, and what it asks."""

    answers: CopyIndex
    asked: frozenset[int]


@record
class Regurgitation:
    """The answer has no long passage of a training answer, nor most of its words in the order of one.

    What the prompt has itself does not count, nor what many training answers share: that is a form they were to teach.
    Unscored is an answer to a prompt of the training file.
    """

    file: str
    """The training file, relative to the suite file."""
    at_most_characters: int = SUREST_CHARACTERS - 1
    """The longest passage that may be a training answer's, in characters; passages under 50 are not always seen."""
    at_most_share: float = 0.5
    """The share of the answer's runs of eight words that may stand in training answers."""

    form_answers: int = 5
    """What so many different training answers share is a form they teach, such as a closing line."""

    measures: ClassVar[tuple[str, ...]] = ("longest_passage", "copied_share")

    def __post_init__(self) -> None:
        """Refuse bounds that are none."""
        if self.at_most_characters < SUREST_CHARACTERS - 1:
            raise ValueError(
                f"`at_most_characters` is {self.at_most_characters}; at least {SUREST_CHARACTERS - 1}, below which "
                "passages are ordinary language"
            )
        if self.form_answers < 2:
            raise ValueError(
                f"`form_answers` is {self.form_answers}; two answers and more can share something"
            )
        if not 0 <= self.at_most_share <= 1:
            raise ValueError(f"`at_most_share` is {self.at_most_share}; a share is from 0 to 1")

    def prepare(self, rows: Iterable[tuple[int, Json]]) -> Taught:
        """What the rows of the file, each with its line, teach; rows that nobody can be trained on are left out."""
        asked: set[int] = set()

        def answers() -> Iterator[tuple[int, str]]:
            for line, row in rows:
                if any(True for _ in row_problems(row)):
                    continue
                example = example_of(line, row)
                asked.add(hash(fold(prompt_of(example))))
                yield from ((line, text) for text in _answers(example))

        index = index_of(answers(), form_texts=self.form_answers)
        return Taught(answers=index, asked=frozenset(asked))

    def score_by(self, case: Case, completion: Completion, prepared: object) -> Score:
        """1 within both bounds, else 0; `longest_passage` is in characters, `copied_share` a share of 8-grams."""
        if not isinstance(prepared, Taught):
            raise TypeError("prepared by another scorer")
        said = "\n".join(
            content_text(message.get("content"))
            for message in case.messages
            if message.get("role") not in {"system", "developer"}
        )
        if hash(fold(said)) in prepared.asked:
            return Score(
                value=None, reason="the training file asks this too, and its answer was to be learned"
            )
        found = prepared.answers.copied(completion.text, beside=conversation_text(case))
        # Shorter ones are found by chance only.
        longest = found.characters if found.characters >= SUREST_CHARACTERS else 0
        measures = {"longest_passage": float(longest), "copied_share": found.share}
        faults = []
        if longest > self.at_most_characters:
            passage = shown(found.passage, _SHOWN_CHARACTERS)
            faults.append(f"{longest} characters of the answer on line {found.name}: {passage}")
        if found.share > self.at_most_share:
            faults.append(f"{found.share:.0%} of its runs of eight words stand in training answers")
        if faults:
            return Score(value=0.0, reason="; ".join(faults), measures=measures)
        passage = (
            f"{longest} characters in a row" if longest else f"no {SUREST_CHARACTERS} characters in a row"
        )
        reason = f"{passage} of a training answer, {found.share:.0%} of its runs of eight words"
        return Score(value=1.0, reason=reason, measures=measures)


def _answers(example: Example) -> Iterator[str]:
    """Every text that the example teaches to say."""
    last = answer_of(example)
    turns = [message_text(message) for message in example.messages if message.get("role") == "assistant"]
    yield from turns if last is None or last in turns else (*turns, last)
