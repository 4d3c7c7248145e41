"""`POST /v1/chat/completions`: an answer of the base model or of a fine-tune."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from harness.localserver.api.inference import ChatCall
from harness.localserver.api.messages import read_messages
from harness.localserver.api.metadata import read_metadata
from harness.localserver.api.parameters import Parameters, read_body, unsupported, wrong_type
from harness.localserver.api.services import services_of
from harness.localserver.api.wire import ApiError, JsonObject, unknown_model
from harness.localserver.generation.requests import GenerationResult
from harness.localserver.state.identifiers import new_id, now

MAX_STOP_SEQUENCES = 4
# Any completion length a JSON integer may name; the context is what limits it.
MAX_TOKENS = 2**31 - 1
SEED_RANGE = (-(2**63), 2**63 - 1)

_READ = (
    "model",
    "messages",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
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
    "stream_options",
)
# What OpenAI knows and this server does not is taken at the value that asks for nothing, and refused otherwise.
_NEUTRAL: Mapping[str, Callable[[object], bool]] = {
    "n": lambda value: value == 1,
    "stream": lambda value: value is False,
    "logprobs": lambda value: value is False,
    "top_logprobs": lambda value: value == 0,
    "frequency_penalty": lambda value: value == 0,
    "presence_penalty": lambda value: value == 0,
    "logit_bias": lambda value: value == {},
    "response_format": lambda value: value == {"type": "text"},
    "modalities": lambda value: value == ["text"],
    "tools": lambda value: value == [],
    "functions": lambda value: value == [],
    "tool_choice": lambda value: value in ("none", "auto"),
    "function_call": lambda value: value in ("none", "auto"),
    "reasoning_effort": lambda value: value == "none",
    "audio": lambda _: False,
    "prediction": lambda _: False,
    "verbosity": lambda _: False,
    "moderation": lambda _: False,
    "web_search_options": lambda _: False,
}


def completion_routes() -> list[BaseRoute]:
    """The route of chat completions."""
    return [Route("/v1/chat/completions", create_chat_completion, methods=["POST"])]


async def create_chat_completion(request: Request) -> Response:
    """Answer a chat."""
    found = services_of(request)
    call = read_call(await read_body(request))
    adapter = None
    if call.model != found.base.name:
        model = found.store.find_model(call.model)
        if model is None:
            raise unknown_model(call.model)
        adapter = model.adapter
    result = await found.inference.complete(call, adapter=adapter)
    return JSONResponse(_completion(call, result, fingerprint=found.base.fingerprint))


def read_call(body: Parameters) -> ChatCall:
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
    low, high = SEED_RANGE
    temperature = body.decimal("temperature", low=0, high=2)
    top_p = body.decimal("top_p", low=0, high=1)
    return ChatCall(
        model=body.required_text("model"),
        messages=read_messages(body),
        max_tokens=_max_tokens(body),
        temperature=1.0 if temperature is None else temperature,
        top_p=1.0 if top_p is None else top_p,
        seed=body.integer("seed", low=low, high=high),
        stop=_stop(body),
    )


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


def _stop(body: Parameters) -> tuple[str, ...]:
    value = body.value("stop")
    if value is None:
        return ()
    sequences = [value] if isinstance(value, str) else value
    if not isinstance(sequences, list) or not all(isinstance(item, str) for item in sequences):
        raise wrong_type("stop", value, expected="a string or an array of strings")
    if len(sequences) > MAX_STOP_SEQUENCES:
        raise ApiError(
            f"Invalid 'stop': array too long. Expected an array with maximum length {MAX_STOP_SEQUENCES}, but "
            f"got an array with length {len(sequences)} instead.",
            param="stop",
            code="array_above_max_length",
        )
    return tuple(item for item in sequences if item)


def _completion(call: ChatCall, result: GenerationResult, *, fingerprint: str) -> JsonObject:
    message: JsonObject = {
        "role": "assistant",
        "content": result.text,
        "refusal": None,
        "annotations": [],
    }
    choice: JsonObject = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": result.finish_reason,
    }
    return {
        "id": new_id("chatcmpl-", 29),
        "object": "chat.completion",
        "created": now(),
        "model": call.model,
        "choices": [choice],
        "usage": _usage(result),
        "service_tier": "default",
        "system_fingerprint": fingerprint,
    }


def _usage(result: GenerationResult) -> JsonObject:
    return {
        "prompt_tokens": result.prompt_tokens,
        "completion_tokens": result.completion_tokens,
        "total_tokens": result.prompt_tokens + result.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
