"""OpenAI's chat completion and its chunks, made of what the engine wrote."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.localserver.api.wire import JsonObject
from harness.localserver.generation.requests import GenerationResult, Piece, TokenLogprob
from harness.localserver.state.identifiers import new_id, now

# What OpenAI writes for a token that is next to impossible; JSON has no infinity.
LOWEST_LOGPROB = -9999.0


@dataclass(frozen=True, kw_only=True)
class Heading:
    """What the completion and all its chunks have in common."""

    id: str
    created: int
    model: str
    fingerprint: str

    def of(self, kind: str) -> JsonObject:
        """The common keys, with the name of the kind of object."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }


def new_heading(prefix: str, *, model: str, fingerprint: str) -> Heading:
    """The heading of a completion made now."""
    return Heading(id=new_id(prefix, 29), created=now(), model=model, fingerprint=fingerprint)


def chat_completion(heading: Heading, results: Sequence[GenerationResult]) -> JsonObject:
    """The answers to one conversation."""
    return {
        **heading.of("chat.completion"),
        "service_tier": "default",
        "choices": [_choice(number, result) for number, result in enumerate(results)],
        "usage": usage(results, answers=len(results)),
    }


def _choice(number: int, result: GenerationResult) -> JsonObject:
    message: JsonObject = {
        "role": "assistant",
        "content": result.text,
        "refusal": None,
        "annotations": [],
    }
    return {
        "index": number,
        "message": message,
        "logprobs": None if result.logprobs is None else _logprobs(result.logprobs),
        "finish_reason": result.finish_reason,
    }


@dataclass(frozen=True, kw_only=True)
class ChatChunks:
    """The chunks of a streamed chat completion; with `include_usage` every one has a `usage`, null but in the last."""

    heading: Heading
    answers: int
    logprobs: bool
    include_usage: bool

    def opening(self, number: int) -> JsonObject:
        """Who speaks."""
        return self._chunk(number, {"role": "assistant", "content": "", "refusal": None})

    def growing(self, number: int, piece: Piece) -> JsonObject:
        """More text."""
        return self._chunk(number, {"content": piece.text}, tokens=piece.logprobs if self.logprobs else None)

    def closing(self, number: int, result: GenerationResult) -> JsonObject:
        """Why it ends."""
        return self._chunk(number, {}, finish_reason=result.finish_reason)

    def usage(self, results: Sequence[GenerationResult]) -> "JsonObject | None":
        """The tokens of all answers, in a chunk of its own."""
        if not self.include_usage:
            return None
        return {**self._head(), "choices": [], "usage": usage(results, answers=self.answers)}

    def _chunk(
        self,
        number: int,
        delta: JsonObject,
        *,
        tokens: Sequence[TokenLogprob] | None = None,
        finish_reason: str | None = None,
    ) -> JsonObject:
        choice: JsonObject = {
            "index": number,
            "delta": delta,
            "logprobs": None if tokens is None else _logprobs(tokens),
            "finish_reason": finish_reason,
        }
        return {**self._head(), "choices": [choice], **({"usage": None} if self.include_usage else {})}

    def _head(self) -> JsonObject:
        return {**self.heading.of("chat.completion.chunk"), "service_tier": "default"}


def usage(results: Sequence[GenerationResult], *, answers: int) -> JsonObject:
    """The tokens of all answers; a prompt counts once, however many answers it has.

    Args:
        results: Prompt by prompt.
        answers: How many each prompt has.
    """
    first = results[::answers]
    prompt_tokens = sum(result.prompt_tokens for result in first)
    completion_tokens = sum(result.completion_tokens for result in results)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": sum(result.cached_tokens for result in first),
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def finite(logprob: float) -> float:
    """A log-probability JSON can hold."""
    return max(logprob, LOWEST_LOGPROB)


def _logprobs(tokens: Sequence[TokenLogprob]) -> JsonObject:
    content = [
        {**_token(token), "top_logprobs": [_token(other) for other in token.alternatives]} for token in tokens
    ]
    return {"content": content, "refusal": None}


def _token(token: TokenLogprob) -> JsonObject:
    # OpenAI writes the bytes of half a character as `\xe4\xbd`.
    return {
        "token": token.data.decode("utf-8", "backslashreplace"),
        "logprob": finite(token.logprob),
        "bytes": list(token.data),
    }
