"""What does a row of a training file say? Rows as the queue has checked and rewritten them, and the tokens they become.

One JSON object a line, all of a file of one shape: `{"messages"}`, `{"prompt", "completion"}`, or for preferences
`{"input", "preferred", "rejected"}`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from harness.errors import HarnessError
from harness.localserver.training.plan import Method, TrainingError

Messages: TypeAlias = Sequence[Mapping[str, object]]
Param: TypeAlias = Literal["training_file", "validation_file"]


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """A chat whose assistant messages are learned, but for those of weight 0."""

    messages: Messages


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """A text that is read and the text learned after it, neither in any chat form."""

    prompt: str
    completion: str


@dataclass(frozen=True, kw_only=True)
class Preference:
    """A conversation, an answer to prefer and an answer to avoid."""

    messages: Messages
    preferred: str
    rejected: str


Example: TypeAlias = Conversation | Continuation | Preference


@dataclass(frozen=True, kw_only=True)
class Taught:
    """Token ids and a mask of the same length: 1 on what is learned."""

    ids: Sequence[int]
    mask: Sequence[int]


class TrainingTokens(Protocol):
    """What of a tokenizer is needed to train; `generation.decoder.Tokens` has it."""

    @property
    def end_id(self) -> int:
        """The token that ends an answer."""

    def encode_text(self, text: str) -> list[int]:
        """The ids of plain text."""

    def encode_prompt(self, messages: Messages) -> list[int]:
        """The ids of a conversation and the head of an assistant message."""

    def encode_training(self, messages: Messages) -> tuple[list[int], list[int]]:
        """The ids of a conversation and its loss mask."""


def read_examples(path: Path, *, method: Method, param: Param) -> list[Example]:
    """The rows of a checked file; a BOM and blank lines are allowed.

    Raises:
        TrainingError: A line is no such row after all, or the file has none.
        OSError: The file cannot be read.
    """
    try:
        # Not splitlines(), which would also break at the U+2028 that JSON allows inside a string.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
        examples = [_example(json.loads(line), method=method) for line in lines if line.strip()]
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}", param=param) from error
    if not examples:
        raise _unreadable("it is empty", param=param)
    return examples


def _unreadable(why: str, *, param: Param) -> TrainingError:
    return TrainingError(
        f"The file cannot be read as training examples: {why}", code=f"invalid_{param}", param=param
    )


def _example(row: Mapping[str, object], *, method: Method) -> Example:
    if method == "dpo":
        return Preference(
            messages=_messages(row["input"]),
            preferred=_text(row["preferred"]),
            rejected=_text(row["rejected"]),
        )
    if "messages" in row:
        return Conversation(messages=_messages(row["messages"]))
    return Continuation(prompt=_text(row["prompt"]), completion=_text(row["completion"]))


def _messages(value: object) -> Messages:
    if not isinstance(value, list) or not all(isinstance(message, dict) for message in value):
        raise TypeError("messages are not a list of objects")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is of type {type(value).__name__}")
    return value


def encode_taught(example: Conversation | Continuation, tokens: TrainingTokens, *, param: Param) -> Taught:
    """A row to imitate: all of its tokens, and which of them are learned.

    Prompt and completion are encoded apart, as they will be when the model continues the prompt; the end token is learned too.

    Raises:
        TrainingError: A message holds something other than text.
    """
    if isinstance(example, Continuation):
        prompt = tokens.encode_text(example.prompt)
        answer = [*tokens.encode_text(example.completion), tokens.end_id]
        return Taught(ids=prompt + answer, mask=[0] * len(prompt) + [1] * len(answer))
    try:
        ids, mask = tokens.encode_training(example.messages)
    except HarnessError as error:
        raise _unreadable(str(error), param=param) from error
    return Taught(ids=ids, mask=mask)


def encode_preference(example: Preference, tokens: TrainingTokens, *, param: Param) -> tuple[Taught, Taught]:
    """The preferred and the rejected answer, each after the same prompt and with the end token; only the answers are learned.

    Raises:
        TrainingError: A message holds something other than text.
    """
    try:
        prompt = tokens.encode_prompt(example.messages)
    except HarnessError as error:
        raise _unreadable(str(error), param=param) from error

    def answered(text: str) -> Taught:
        answer = [*tokens.encode_text(text), tokens.end_id]
        return Taught(ids=prompt + answer, mask=[0] * len(prompt) + [1] * len(answer))

    return answered(example.preferred), answered(example.rejected)
