"""What a model must do to be served: turn text to tokens, and give the logits of the token after the last.

Everything else (the line of requests, choosing tokens, stop texts, constraints, log-probabilities, streaming) is the engine's
and the same for every model.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from torch import Tensor

Ids: TypeAlias = tuple[int, ...]


class Tokens(Protocol):
    """Text to token ids and back."""

    @property
    def size(self) -> int:
        """Ids the network has logits for."""

    @property
    def end_id(self) -> int:
        """The token that ends an answer."""

    @property
    def control_ids(self) -> frozenset[int]:
        """Tokens that are marks, not text; an answer ends at any of them."""

    @property
    def answer_opening(self) -> bytes:
        """What the chat form puts between a prompt and an answer's text: the model writes it, but it is no part of the answer."""

    def encode_text(self, text: str) -> list[int]:
        """The ids of plain text; none of them is a control token, whatever the text says."""

    def encode_opening(self, text: str) -> list[int]:
        """The same for a text read from its beginning: after the mark that some models expect there."""

    def encode_prompt(self, messages: Sequence[Mapping[str, object]]) -> list[int]:
        """The ids the model continues: the conversation in its chat form, then the head of an assistant message."""

    def encode_training(self, messages: Sequence[Mapping[str, object]]) -> tuple[list[int], list[int]]:
        """The ids of a whole conversation and its loss mask, both of shape (tokens,); see `ChatTokenizer`."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; control tokens have none, and half a character becomes U+FFFD."""

    def token_bytes(self, token: int) -> bytes:
        """The exact bytes of one token's text, empty for a control token."""


class Decoder(Protocol):
    """Rows in progress, all of one network, numbered from 0 in the order they were read."""

    def read(self, prompts: Sequence[Ids]) -> Tensor:
        """Read prompts, each of at least one token, as new rows; returns the logits after each, (prompts, size)."""

    def advance(self, tokens: Sequence[int]) -> Tensor:
        """Append one token to every row; returns the logits after each, (rows, size)."""

    def drop(self, row: int) -> None:
        """Forget a row; the last row takes its number."""

    def cached_tokens(self, row: int) -> int:
        """How many tokens of the row's prompt were known already and not computed."""

    def room_for(self, prompts: Sequence[Ids], *, longest: int) -> bool:
        """Whether these fit beside the rows in progress if no row, old or new, grows beyond `longest` tokens."""


class Backend(Protocol):
    """A model that can be served, with its fine-tunes."""

    @property
    def tokens(self) -> Tokens:
        """Its tokenizer."""

    @property
    def context(self) -> int:
        """Tokens a prompt and its answer may have together."""

    @property
    def workers(self) -> int:
        """How many decoders are best at work at the same time."""

    @property
    def threads_each(self) -> int:
        """Processor threads each of them computes with."""

    def decoder(self, adapter: Path | None) -> Decoder:
        """A decoder of the fine-tune in this folder, or of the base model; called on the thread that will use it.

        Raises:
            StorageError: The fine-tune cannot be read or does not fit.
        """

    def rest(self) -> None:
        """Nobody has asked for a while: let go of what can be made again in a moment. Called on any worker's thread."""
