"""`POST /v1/chat/completions`: answers of the base model or of a fine-tune to a conversation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from harness.localserver.api.chat_objects import ChatChunks, Heading, chat_completion, new_heading
from harness.localserver.api.disconnection import unless_gone
from harness.localserver.api.inference import Call
from harness.localserver.api.messages import read_messages
from harness.localserver.api.metadata import read_metadata
from harness.localserver.api.parameters import Parameters, read_body, unsupported
from harness.localserver.api.response_format import read_response_format
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

CHAT_URL = "/v1/chat/completions"
MAX_TOP_LOGPROBS = 20

_READ = (
    "model",
    "messages",
    *SAMPLING_KEYS,
    *STREAM_KEYS,
    "n",
    "max_tokens",
    "max_completion_tokens",
    "logprobs",
    "top_logprobs",
    "response_format",
    "metadata",
)
# These change nothing about an answer.
_WITHOUT_EFFECT = (
    "user",
    "store",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "service_tier",
    "parallel_tool_calls",
)
# What OpenAI knows and this server does not is taken at the value that asks for nothing, and refused otherwise.
_NEUTRAL: Mapping[str, Callable[[object], bool]] = {
    "modalities": lambda value: value == ["text"],
    "tools": lambda value: value == [],
    "functions": lambda value: value == [],
    "tool_choice": lambda value: value in ("none", "auto"),
    "function_call": lambda value: value in ("none", "auto"),
    "reasoning_effort": lambda value: value == "none",
    "verbosity": lambda value: value == "medium",
    "audio": lambda _: False,
    "prediction": lambda _: False,
    "moderation": lambda _: False,
    "web_search_options": lambda _: False,
}


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """A chat completion as it was asked for."""

    model: str
    call: Call
    stream: bool
    include_usage: bool


def chat_routes() -> list[BaseRoute]:
    """The route of chat completions."""
    return [Route(CHAT_URL, create_chat_completion, methods=["POST"])]


async def create_chat_completion(request: Request) -> Response:
    """Answer a conversation, at once or piece by piece."""
    found = services_of(request)
    asked = read_chat(await read_body(request))
    if asked.stream:
        return await unless_gone(request, _stream(found, asked))
    return JSONResponse(await unless_gone(request, answer_chat(found, asked)))


async def answer_chat(found: Services, asked: ChatRequest) -> JsonObject:
    """The whole completion.

    Raises:
        ApiError: No such model, or a conversation it has no room for.
    """
    model = found.resolve(asked.model)
    results = await found.inference.answer(asked.call, adapter=model.adapter)
    return chat_completion(_heading(found, model.name), results)


async def _stream(found: Services, asked: ChatRequest) -> EventStream:
    model = found.resolve(asked.model)
    growth = Growth()
    chunks = ChatChunks(
        heading=_heading(found, model.name),
        answers=asked.call.answers,
        logprobs=asked.call.top_logprobs is not None,
        include_usage=asked.include_usage,
    )
    answers = await found.inference.submit(asked.call, adapter=model.adapter, on_piece=growth.add)
    return EventStream(answers, growth, chunks=chunks)


def _heading(found: Services, model: str) -> Heading:
    return new_heading("chatcmpl-", model=model, fingerprint=found.base.fingerprint)


def read_chat(body: Parameters) -> ChatRequest:
    """The request, or OpenAI's error for it.

    Raises:
        ApiError: 400 for everything that is missing, of another type, out of range, or not supported here.
    """
    body.refuse_unknown((*_READ, *_WITHOUT_EFFECT, *_NEUTRAL))
    for key in body.present():
        neutral = _NEUTRAL.get(key)
        if neutral and not neutral(body.value(key)):
            raise unsupported(key)
    read_metadata(body)
    model = body.required_text("model")
    messages = read_messages(body)
    stream, include_usage = read_stream(body)
    return ChatRequest(
        model=model,
        stream=stream,
        include_usage=include_usage,
        call=Call(
            prompts=(messages,),
            answers=read_answers(body),
            max_tokens=_max_tokens(body),
            sampling=read_sampling(body),
            top_logprobs=_top_logprobs(body),
            schema=read_response_format(body, messages),
        ),
    )


def _top_logprobs(body: Parameters) -> int | None:
    wanted = read_flag(body, "logprobs")
    alternatives = body.integer("top_logprobs", low=0, high=MAX_TOP_LOGPROBS)
    if alternatives is not None and not wanted:
        raise ApiError(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", param="top_logprobs"
        )
    return alternatives or 0 if wanted else None


def _max_tokens(body: Parameters) -> int | None:
    older = body.integer("max_tokens", low=1, high=MAX_TOKENS)
    newer = body.integer("max_completion_tokens", low=1, high=MAX_TOKENS)
    if older is not None and newer is not None:
        raise ApiError(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )
    return older if newer is None else newer
