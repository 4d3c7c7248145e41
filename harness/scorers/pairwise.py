"""Which of two answers is better, the candidate's or the reference's? A judge sees both, in both orders."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from harness.protocols import Replies
from harness.records import Case, Completion, Failure, Question, Score, record
from harness.scorers.judging import (
    FENCE_RULE,
    answer_text,
    conversation_text,
    fenced,
    final_choice,
    garbled,
    trouble_with,
)
from harness.serial import shown

Winner = Literal["candidate", "reference", "tie"]

CRITERIA = (
    "Which answer helps the person who asked more? What is right comes first, then what was asked for and "
    "nothing else, then clear words. Length alone is no merit."
)
MOST_REPEATS = 9
# What a reason quotes of the judge's own.
QUOTED_CHARACTERS = 160

_INSTRUCTIONS = """You compare two answers to the same conversation, A and B.

What counts:
{criteria}

{fence_rule}

The order of the answers means nothing, and neither does who wrote them. First write a few sentences on what \
speaks for and against each answer. Then end with one line, and nothing after it:
Verdict: A
or
Verdict: B
or, when neither is better,
Verdict: tie"""
_ORDERS: Mapping[str, Mapping[str, Winner]] = {
    "candidate first": {"A": "candidate", "B": "reference", "tie": "tie"},
    "reference first": {"A": "reference", "B": "candidate", "tie": "tie"},
}
"""The questions by name, and whom each verdict means."""


@record
class Pairwise:
    """The candidate's answer is better than the reference's: 1 when it is, 0 when it is worse, 0.5 for a tie.

    The judge is asked twice, each answer once in first place, and a win must hold in both orders: a judge
    that prefers whatever comes first calls every pair a tie. Answers that are the same are a tie unasked.
    """

    criteria: str = CRITERIA
    """What makes an answer the better one, in words for the judge."""
    repeats: int = 1
    """How often both orders are asked; the values are averaged."""

    measures: ClassVar[tuple[str, ...]] = ("win_rate", "loss_rate", "tie_rate", "first_position_rate")

    def __post_init__(self) -> None:
        """Refuse a judge without a question."""
        if not self.criteria.strip():
            raise ValueError("`criteria` is empty; say what makes an answer the better one, or leave it out")
        if not 1 <= self.repeats <= MOST_REPEATS:
            raise ValueError(f"`repeats` is {self.repeats}; ask once to {MOST_REPEATS} times")

    def comparisons(self, case: Case, completion: Completion, other: Completion) -> tuple[Question, ...]:
        """The pair in both orders; nothing when a reader could not tell the answers apart."""
        candidate, reference = answer_text(completion).strip(), answer_text(other).strip()
        if candidate == reference:
            return ()
        ordered = ((candidate, reference), (reference, candidate))
        return tuple(
            self._question(name, case, answers=answers)
            for name, answers in zip(_ORDERS, ordered, strict=True)
        )

    def read_comparison(self, case: Case, completion: Completion, replies: Replies) -> Score:  # noqa: ARG002 - the replies say it all
        """The share of wins, ties counted half; unscored when no pair of replies can be read.

        `first_position_rate` is the share of verdicts for the answer shown first among those for either:
        0.5 without a bias. It is missing where the judge chose neither.
        """
        if not replies:
            return _score(["tie"], [], "the answers are the same")
        winners: list[Winner] = []
        firsts: list[bool] = []
        troubles: list[str] = []
        for pair in zip(*(replies[name] for name in _ORDERS), strict=False):
            read = [_read(reply) for reply in pair]
            troubles += [trouble for choice, trouble in read if choice is None]
            choices = [choice for choice, _ in read if choice is not None]
            if len(choices) == len(_ORDERS):
                winners.append(_winner(choices))
                firsts += [choice == "A" for choice in choices if choice != "tie"]
        if not winners:
            return Score(value=None, reason=troubles[0] if troubles else "the judge was not asked")
        return _score(winners, firsts, _because(replies))

    def _question(self, name: str, case: Case, *, answers: Sequence[str]) -> Question:
        first, second = (fenced(answer, "answer") for answer in answers)
        material = (
            f"The conversation:\n{fenced(conversation_text(case), 'conversation')}\n\n"
            f"Answer A:\n{first}\n\nAnswer B:\n{second}"
        )
        instructions = _INSTRUCTIONS.format(criteria=self.criteria.strip(), fence_rule=FENCE_RULE)
        messages = ({"role": "system", "content": instructions}, {"role": "user", "content": material})
        return Question(name=name, messages=messages, repeats=self.repeats)


def _read(reply: Completion | Failure) -> tuple[str | None, str]:
    """The verdict of one reply, or None and why there is none."""
    trouble = trouble_with(reply)
    if trouble is not None or isinstance(reply, Failure):
        return None, trouble or ""
    choice = final_choice(reply.text, ("A", "B", "tie"))
    return choice, "" if choice else garbled(reply, "verdict")


def _winner(choices: Sequence[str]) -> Winner:
    """Who won in both orders; a tie where they disagree."""
    named = {meanings[choice] for meanings, choice in zip(_ORDERS.values(), choices, strict=True)}
    return named.pop() if len(named) == 1 else "tie"


def _score(winners: Sequence[Winner], firsts: Sequence[bool], because: str) -> Score:
    pairs = len(winners)
    wins, losses = winners.count("candidate"), winners.count("reference")
    ties = pairs - wins - losses
    measures = {"win_rate": wins / pairs, "loss_rate": losses / pairs, "tie_rate": ties / pairs}
    if firsts:
        measures["first_position_rate"] = sum(firsts) / len(firsts)
    word = "win" if wins > max(losses, ties) else "loss" if losses > max(wins, ties) else "tie"
    told = word if pairs == 1 else f"{wins} wins, {losses} losses, {ties} ties"
    return Score(value=(wins + ties / 2) / pairs, reason=f"{told}: {because}", answer=word, measures=measures)


def _because(replies: Replies) -> str:
    """What the judge said of the first pair that came, in both orders."""
    said = {
        name: next((reply.text for reply in replies[name] if isinstance(reply, Completion)), "")
        for name in _ORDERS
    }
    return "; ".join(f"{name}, {shown(text, QUOTED_CHARACTERS)}" for name, text in said.items())
