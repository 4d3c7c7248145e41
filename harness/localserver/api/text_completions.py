"""`POST /v1/completions`: texts continued as they stand, for models trained on prompt and completion."""

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from harness.localserver.api.chat_objects import Heading, finite, new_heading, usage
from harness.localserver.api.disconnection import unless_gone
from harness.localserver.api.inference import Call
from harness.localserver.api.parameters import Parameters, read_body, unsupported, wrong_type
from harness.localserver.api.sampling import (
    MAX_TOKENS,
    SAMPLING_KEYS,
    STREAM_KEYS,
    read_answers,
    read_flag,
    read_sampling,
    read_stream,
)
from harness.localserver.api.services import Services, services_of
from harness.localserver.api.streaming import EventStream, Growth
from harness.localserver.api.wire import ApiError, JsonObject
from harness.localserver.generation.requests import GenerationResult, Piece, TokenLogprob

COMPLETIONS_URL = "/v1/completions"
# OpenAI's default and limits of this older call.
DEFAULT_MAX_TOKENS = 16
MAX_TOP_LOGPROBS = 5
MAX_BEST_OF = 20
# As many as OpenAI took in one request.
MAX_PROMPTS = 2048

_READ = (
    "model",
    "prompt",
    *SAMPLING_KEYS,
    *STREAM_KEYS,
    "n",
    "best_of",
    "max_tokens",
    "logprobs",
    "echo",
    "suffix",
)
_WITHOUT_EFFECT = ("user",)


@dataclass(frozen=True, kw_only=True)
class TextRequest:
    """A completion as it was asked for; `prompts` are the call's, as texts."""

    model: str
    prompts: tuple[str, ...]
    call: Call
    echo: bool
    stream: bool
    include_usage: bool


def text_routes() -> list[BaseRoute]:
    """The route of completions."""
    return [Route(COMPLETIONS_URL, create_completion, methods=["POST"])]


async def create_completion(request: Request) -> Response:
    """Continue texts, at once or piece by piece."""
    found = services_of(request)
    asked = read_completion(await read_body(request))
    if asked.stream:
        return await unless_gone(request, _stream(found, asked))
    return JSONResponse(await unless_gone(request, answer_text(found, asked)))


async def answer_text(found: Services, asked: TextRequest) -> JsonObject:
    """The whole completion.

    Raises:
        ApiError: No such model, or a prompt it has no room for.
    """
    model = found.resolve(asked.model)
    results = await found.inference.answer(asked.call, adapter=model.adapter)
    choices = [_Choice(asked, number).whole(result) for number, result in enumerate(results)]
    return {
        **_heading(found, model.name).of("text_completion"),
        "choices": choices,
        "usage": usage(results, answers=asked.call.answers),
    }


async def _stream(found: Services, asked: TextRequest) -> EventStream:
    model = found.resolve(asked.model)
    growth = Growth()
    chunks = _TextChunks(asked, _heading(found, model.name))
    answers = await found.inference.submit(asked.call, adapter=model.adapter, on_piece=growth.add)
    return EventStream(answers, growth, chunks=chunks)


def _heading(found: Services, model: str) -> Heading:
    return new_heading("cmpl-", model=model, fingerprint=found.base.fingerprint)


# --- reading ---


def read_completion(body: Parameters) -> TextRequest:
    """The request, or OpenAI's error for it.

    Raises:
        ApiError: 400 for everything that is missing, of another type, out of range, or not supported here.
    """
    body.refuse_unknown((*_READ, *_WITHOUT_EFFECT))
    model = body.required_text("model")
    prompts = _prompts(body)
    answers = read_answers(body)
    _check_best_of(body, answers)
    if body.text("suffix"):
        raise unsupported("suffix", remedy="The local model continues a text, it cannot fill one in.")
    echo = read_flag(body, "echo")
    top_logprobs = body.integer("logprobs", low=0, high=MAX_TOP_LOGPROBS)
    if echo and top_logprobs is not None:
        raise unsupported("logprobs", remedy="With 'echo' they would be those of the prompt too.")
    stream, include_usage = read_stream(body)
    max_tokens = body.integer("max_tokens", low=1, high=MAX_TOKENS)
    return TextRequest(
        model=model,
        prompts=prompts,
        echo=echo,
        stream=stream,
        include_usage=include_usage,
        call=Call(
            prompts=prompts,
            answers=answers,
            max_tokens=DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens,
            sampling=read_sampling(body),
            top_logprobs=top_logprobs,
        ),
    )


def _prompts(body: Parameters) -> tuple[str, ...]:
    prompt = body.value("prompt")
    if prompt is None:  # OpenAI's default is the beginning of a new text
        return ("",)
    if isinstance(prompt, str):
        return (prompt,)
    if not isinstance(prompt, list):
        raise wrong_type("prompt", prompt, expected="a string or an array of strings")
    if not prompt:
        raise ApiError(
            "Invalid 'prompt': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param="prompt",
            code="empty_array",
        )
    if len(prompt) > MAX_PROMPTS:
        raise ApiError(
            f"Invalid 'prompt': array too long. Expected an array with maximum length {MAX_PROMPTS}, but got an "
            f"array with length {len(prompt)} instead.",
            param="prompt",
            code="array_above_max_length",
        )
    if isinstance(prompt[0], (int, list)):
        raise unsupported("prompt", remedy="Send texts; the tokens of other models mean nothing to this one.")
    for at, text in enumerate(prompt):
        if not isinstance(text, str):
            raise wrong_type(f"prompt[{at}]", text, expected="a string")
    return tuple(prompt)


def _check_best_of(body: Parameters, answers: int) -> None:
    best_of = body.integer("best_of", low=1, high=MAX_BEST_OF)
    if best_of is None or best_of == answers:
        return
    if best_of > answers:
        raise unsupported("best_of", remedy="Ask for 'n' answers with 'logprobs' and choose among them.")
    raise ApiError(
        "You requested that the server return more choices than it will generate (HINT: you must set 'n' "
        f"(currently {answers}) to be at most 'best_of' (currently {best_of}), or omit either parameter if you "
        "don't specifically want to use them.)",
        param="best_of",
    )


# --- answering ---


class _Choice:
    """One answer, whole or as it grows: where its tokens stand in the text is counted from the start of the prompt."""

    def __init__(self, asked: TextRequest, number: int) -> None:
        self._number = number
        self._prompt = asked.prompts[number // asked.call.answers]
        self._echo = self._prompt if asked.echo else ""
        self._offset = len(self._prompt)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def whole(self, result: GenerationResult) -> JsonObject:
        """The answer."""
        return self._choice(
            self._echo + result.text, tokens=result.logprobs, finish_reason=result.finish_reason
        )

    def opening(self) -> "JsonObject | None":
        """The prompt, where it is to be repeated."""
        return self._choice(self._echo) if self._echo else None

    def growing(self, piece: Piece, *, logprobs: bool) -> JsonObject:
        """More text."""
        return self._choice(piece.text, tokens=piece.logprobs if logprobs else None)

    def closing(self, result: GenerationResult) -> JsonObject:
        """Why it ends."""
        return self._choice("", finish_reason=result.finish_reason)

    def _choice(
        self, text: str, *, tokens: Sequence[TokenLogprob] | None = None, finish_reason: str | None = None
    ) -> JsonObject:
        return {
            "text": text,
            "index": self._number,
            "logprobs": None if tokens is None else self._logprobs(tokens),
            "finish_reason": finish_reason,
        }

    def _logprobs(self, tokens: Sequence[TokenLogprob]) -> JsonObject:
        offsets: list[int] = []
        for token in tokens:
            offsets.append(self._offset)
            self._offset += len(self._decoder.decode(token.data))
        return {
            "tokens": [_shown(token) for token in tokens],
            "token_logprobs": [finite(token.logprob) for token in tokens],
            "top_logprobs": [_alternatives(token) for token in tokens],
            "text_offset": offsets,
        }


def _alternatives(token: TokenLogprob) -> Mapping[str, float]:
    """The likeliest tokens, and the one that was chosen also when it is none of them."""
    return {_shown(other): finite(other.logprob) for other in (*token.alternatives, token)}


def _shown(token: TokenLogprob) -> str:
    """A token as this call writes it: its text, or its bytes where they are no whole characters."""
    try:
        return token.data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.data)


class _TextChunks:
    """The chunks of a streamed completion, which are completions themselves."""

    def __init__(self, asked: TextRequest, heading: Heading) -> None:
        self._asked = asked
        self._head = heading.of("text_completion")
        self._choices = [_Choice(asked, number) for number in range(len(asked.prompts) * asked.call.answers)]

    def opening(self, number: int) -> "JsonObject | None":
        """The prompt, where it is to be repeated."""
        choice = self._choices[number].opening()
        return self._chunk(choice) if choice else None

    def growing(self, number: int, piece: Piece) -> JsonObject:
        """More text."""
        return self._chunk(
            self._choices[number].growing(piece, logprobs=self._asked.call.top_logprobs is not None)
        )

    def closing(self, number: int, result: GenerationResult) -> JsonObject:
        """Why it ends."""
        return self._chunk(self._choices[number].closing(result))

    def usage(self, results: Sequence[GenerationResult]) -> "JsonObject | None":
        """The tokens of all answers, in a chunk of its own."""
        if not self._asked.include_usage:
            return None
        return {**self._head, "choices": [], "usage": usage(results, answers=self._asked.call.answers)}

    def _chunk(self, choice: JsonObject) -> JsonObject:
        return {
            **self._head,
            "choices": [choice],
            **({"usage": None} if self._asked.include_usage else {}),
        }
