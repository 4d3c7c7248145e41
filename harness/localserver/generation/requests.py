"""What is asked of an engine, and what it answers: the records between the HTTP side and whatever generates."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

Conversation: TypeAlias = tuple[Mapping[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """One answer asked for.

    Attributes:
        adapter: The PEFT folder of a fine-tune, None for the base model.
        prompt: A conversation, put in the model's chat form; or a text, continued as it stands.
        max_tokens: The longest answer, in tokens.
        temperature: 0 takes the likeliest token.
        top_p: Tokens are drawn from the fewest likeliest whose probabilities reach this together.
        seed: Of this answer's draws; None draws one.
        stop: The answer ends before the first of these texts.
        top_logprobs: How many alternatives are reported beside each token's log-probability, 0 to 20; None reports
            no log-probabilities at all.
        schema: A JSON Schema, as JSON text, that the answer will satisfy; None leaves it free.
        frequency_penalty: Taken from a token's logit for every time the answer already has it.
        presence_penalty: Taken once when the answer already has it.
        logit_bias: Added to the logits of these token ids.
    """

    adapter: Path | None
    prompt: Conversation | str
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    schema: str | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TokenLogprob:
    """A token, its log-probability in nats before temperature, penalties and constraints, and the likeliest alternatives.

    `text` of a token that is only part of a character has U+FFFD in it; `data` are its exact bytes.
    """

    text: str
    data: bytes
    logprob: float
    alternatives: "tuple[TokenLogprob, ...]" = ()


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What an answer has grown by: text that is final, and the log-probabilities of its tokens if they were asked for."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GenerationResult:
    """What the engine wrote; `length` when it was cut off by `max_tokens` or the context.

    `logprobs` has one entry for each token of `text`, or is None when none were asked for; `cached_tokens` of the prompt were
    known from earlier prompts and not computed again.
    """

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    logprobs: tuple[TokenLogprob, ...] | None = None
    cached_tokens: int = 0


class Engine(Protocol):
    """What generates. It batches what is submitted together by itself."""

    @property
    def context_length(self) -> int:
        """Tokens a prompt and its answer may have together."""

    def count_prompt_tokens(self, prompt: Conversation | str) -> int:
        """Tokens the model reads before it answers."""

    def submit(
        self, request: GenerationRequest, *, on_piece: Callable[[Piece], None] | None = None
    ) -> "Future[GenerationResult]":
        """Queue a request and return at once.

        Args:
            request: What is asked.
            on_piece: Called on a thread of the engine for every piece, in order and before the future is done; the texts of
                all pieces together are the result's text. Must be quick and must not raise.

        Raises:
            UsageError: The schema cannot be followed; nothing is queued.
        """

    def abandon(self, future: "Future[GenerationResult]") -> None:
        """Nobody waits for this answer any more: it is taken out of the line or out of its batch after the current step."""

    def close(self) -> None:
        """Stop; what is still queued is dropped."""
