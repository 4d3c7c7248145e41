"""Which tokens does a Hugging Face model read and learn of each row of a file?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.localserver.hf.chat_tokens import HfTokens
from harness.localserver.training.examples import (
    Continuation,
    Conversation,
    Example,
    Messages,
    Param,
    Preference,
    Taught,
    read_examples,
)
from harness.localserver.training.plan import Method, TrainingError

# Tokens of one pass through the network, padding included; more need memory and are no faster.
PASS_TOKENS = 2048


@dataclass(frozen=True, kw_only=True)
class Row:
    """One example: an answer to imitate, or one to prefer and one to avoid; none where nothing can be learned.

    `tokens` counts the whole example, as it is billed, what two answers have in common once.
    """

    endings: tuple[Taught, ...]
    tokens: int

    @property
    def length(self) -> int:
        """Tokens of the longer ending."""
        return max((len(ending.ids) for ending in self.endings), default=0)


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """The rows of a file."""

    rows: tuple[Row, ...]

    def passes(self, members: Sequence[int]) -> Iterator[list[int]]:
        """The rows at `members` that can be learned from, in groups of like length that go through the network together."""
        learnable = [index for index in members if self.rows[index].endings]
        group: list[int] = []
        for index in sorted(learnable, key=lambda index: (self.rows[index].length, index)):
            row = self.rows[index]
            if group and row.length * (len(group) + 1) * len(row.endings) > PASS_TOKENS:
                yield group
                group = []
            group.append(index)
        if group:
            yield group

    def answers(self, members: Sequence[int]) -> int:
        """How many tokens are learned of the rows at `members`."""
        return sum(sum(ending.mask[1:]) for index in members for ending in self.rows[index].endings)


def read_lesson(path: Path | None, tokens: HfTokens, *, method: Method, param: Param, context: int) -> Lesson:
    """The rows of a file that has been checked, cut off beyond `context` tokens; no file has no rows.

    Raises:
        TrainingError: A row cannot be put in the model's chat form, or none has anything to learn.
    """
    examples = read_examples(path, method=method, param=param) if path else []
    rows = []
    for number, example in enumerate(examples, start=1):
        try:
            rows.append(_row(example, tokens, context))
        except UsageError as error:
            raise TrainingError(f"Example {number}: {error}", code=f"invalid_{param}", param=param) from error
    if rows and not any(row.endings for row in rows):
        raise TrainingError(
            f"No example has text to learn within the model's context of {context} tokens.",
            code=f"invalid_{param}",
            param=param,
        )
    return Lesson(rows=tuple(rows))


def _row(example: Example, tokens: HfTokens, context: int) -> Row:
    if isinstance(example, Preference):
        whole = [_answered(example.messages, text, tokens) for text in (example.preferred, example.rejected)]
        prompt = min(whole[0].mask.index(1), context)
    else:
        whole = [_taught(example, tokens)]
        prompt = 0
    endings = [_cut(taught, context) for taught in whole]
    billed = sum(min(len(taught.ids), context) for taught in whole) - prompt
    learnable = all(any(ending.mask[1:]) for ending in endings)
    return Row(endings=tuple(endings) if learnable else (), tokens=billed)


def _taught(example: Conversation | Continuation, tokens: HfTokens) -> Taught:
    if isinstance(example, Conversation):
        ids, mask = tokens.encode_training(example.messages)
        return Taught(ids=ids, mask=mask)
    # Apart, as the completion will be written: after a prompt that has already been turned to tokens.
    prompt = tokens.encode_opening(example.prompt) or [tokens.end_id]
    answer = [*tokens.encode_text(example.completion), tokens.end_id]
    return Taught(ids=prompt + answer, mask=[0] * len(prompt) + [1] * len(answer))


def _answered(messages: Messages, answer: str, tokens: HfTokens) -> Taught:
    """A conversation with an answer, which alone is learned."""
    context = [{**message, "weight": 0} for message in messages]
    ids, mask = tokens.encode_training([*context, {"role": "assistant", "content": answer}])
    return Taught(ids=ids, mask=mask)


def _cut(taught: Taught, context: int) -> Taught:
    """What of it is read: not beyond the context, nor beyond the last token that is learned."""
    learned = [place for place, mark in enumerate(taught.mask[:context]) if mark]
    end = learned[-1] + 1 if learned else 0
    return Taught(ids=taught.ids[:end], mask=taught.mask[:end])
