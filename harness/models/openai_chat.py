"""A model behind an OpenAI-compatible chat endpoint.

The only retries are the transport's: `Endpoint.max_retries` on connection errors, 408, 409, 429
and 5xx, with back-off and Retry-After.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.errors import EndpointError
from harness.models.exchange import ExchangeError
from harness.models.failures import failure_of, refuses_logprobs, short
from harness.models.transports import Transport, open_transport
from harness.records import Completion, Endpoint, Failure, Json, Message, Sampling, ToolCall, Usage
from harness.serial import finite_number, read_json

# Tokens less likely than 1 in 10,000 decide nothing, and 20 of them for each token of a reply fill the cache.
LEAST_LOGPROB = math.log(1e-4)
# Of one answer: whoever tells more counts something else, and sums of it would have no price.
MOST_TOKENS = 10**12


class ChatClient:
    """One connection pool to one endpoint, shared by all models asked there.

    Use it in one event loop only, and close it there.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._transport: Transport | None = None
        # Models that were found to refuse log-probabilities; asked once is enough.
        self.without_logprobs: set[str] = set()

    def __repr__(self) -> str:
        return f"ChatClient({self.endpoint.label!r})"

    @property
    def key(self) -> str | None:
        """The key in use, for cutting it out of messages; None before the first request."""
        return self._transport.key if self._transport else self.endpoint.api_key

    async def post(self, body: Mapping[str, Json], *, path: str = "/chat/completions") -> str:
        """POST the body to a path below the base URL and return the answer's text, whatever it is.

        Raises:
            ExchangeError: No answer came, after all retries.
            EndpointError: The environment's proxy or certificate settings let no client be made.
            UnicodeEncodeError: The body holds half a surrogate pair.
        """
        if self._transport is None:
            self._transport = open_transport(self.endpoint)
        return await self._transport.post(body, path=path)

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()


class OpenAIChat:
    """A model at an endpoint."""

    def __init__(self, model: str, client: ChatClient) -> None:
        self._model = model
        self._client = client

    def __repr__(self) -> str:
        return f"OpenAIChat({self._model!r}, {self._client!r})"

    @property
    def name(self) -> str:
        """The model id."""
        return self._model

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, trial: int = 0
    ) -> Completion | Failure:
        """One answer, or why there is none.

        Trial n is sent the seed `sampling.seed + n`: with the seed alone, an endpoint that honours
        it would give the same answer to every repeat. A model that refuses to tell log-probabilities is
        asked without them.
        """
        endpoint = self._client.endpoint
        if self._model in self._client.without_logprobs:
            sampling = replace(sampling, top_logprobs=None)
        drawn = of_trial(sampling, trial)
        body = request_body(self._model, messages, drawn, max_tokens_field=endpoint.max_tokens_field)
        started = time.perf_counter()
        try:
            text = await self._client.post(body)
        except ExchangeError as error:
            if sampling.top_logprobs is not None and refuses_logprobs(error):
                self._client.without_logprobs.add(self._model)
                return await self.complete(messages, sampling, trial=trial)
            return failure_of(error, model=self._model, endpoint=endpoint, key=self._client.key)
        except EndpointError as error:
            message = f"{self._model} at {endpoint.label}: {error}"
            return Failure(kind="connection", message=message, fatal=True)
        except UnicodeEncodeError:
            return Failure(
                kind="bad_request",
                message=f"{self._model} at {endpoint.label}: the prompt is not valid Unicode (remove lone surrogates)",
            )
        return read_completion(
            text,
            place=f"{self._model} at {endpoint.label}",
            latency_s=time.perf_counter() - started,
            key=self._client.key,
        )

    async def close(self) -> None:
        """Close the client, also for the other models that share it."""
        await self._client.close()


def of_trial(sampling: Sampling, trial: int) -> Sampling:
    """How the answer of one trial is drawn: with a seed of its own, where the suite gives one."""
    return sampling if sampling.seed is None else replace(sampling, seed=sampling.seed + trial)


def request_body(
    model: str, messages: Sequence[Message], sampling: Sampling, *, max_tokens_field: str = "max_tokens"
) -> dict[str, Json]:
    """The JSON of a chat completion request; settings that are None or empty are not in it."""
    settings: dict[str, Json] = {
        "temperature": sampling.temperature,
        max_tokens_field: sampling.max_tokens,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "response_format": dict(sampling.response_format) if sampling.response_format else None,
        "tools": [dict(tool) for tool in sampling.tools] or None,
        "logprobs": True if sampling.top_logprobs is not None else None,
        "top_logprobs": sampling.top_logprobs,
    }
    body: dict[str, Json] = {"model": model, "messages": [dict(message) for message in messages]}
    return body | {name: value for name, value in settings.items() if value is not None}


# --- reading answers: nothing is taken for granted, the text may come from any server ------------------


def read_completion(
    text: str, *, place: str = "endpoint", latency_s: float | None = 0.0, key: str | None = None
) -> Completion | Failure:
    """The Completion in the text of an HTTP 200 answer, or a `malformed` Failure saying what it is.

    Args:
        text: The body of the answer.
        place: Model and endpoint, for the message.
        latency_s: How long the answer took, retries included; None where nobody measured.
        key: A secret to cut out of the message.
    """
    try:
        data = read_json(text)
    except (ValueError, RecursionError):
        kind = "a web page" if text.lstrip().startswith("<") else "not JSON"
        return _malformed(place, f"the answer is {kind}, not a chat completion: {short(text[:200], key)}")
    answer = _mapping(data)
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        said = answer.get("error") or answer.get("message") or ""
        return _malformed(place, "the answer has no choices" + (f": {short(str(said), key)}" if said else ""))
    message = _mapping(choices[0]).get("message")
    if not isinstance(message, dict):
        return _malformed(place, "the answer's first choice has no message")
    return Completion(
        text=_content(message.get("content")),
        finish_reason=_text(_mapping(choices[0]).get("finish_reason")),
        refusal=_text(message.get("refusal")),
        tool_calls=_tool_calls(message),
        usage=_usage(_mapping(answer.get("usage"))),
        model=_text(answer.get("model")) or "",
        system_fingerprint=_text(answer.get("system_fingerprint")),
        latency_s=latency_s,
        top_logprobs=_top_logprobs(_mapping(_mapping(choices[0]).get("logprobs")).get("content")),
    )


def _malformed(place: str, problem: str) -> Failure:
    remedy = "check that base_url is an OpenAI-compatible API; it usually ends in /v1"
    return Failure(kind="malformed", message=f"{place}: {problem} ({remedy})")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    """A string that can be stored: JSON may hold half a surrogate pair, which UTF-8 cannot."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _content(value: object) -> str:
    """Text of a message: a string, null beside a refusal or a tool call, or a list of parts."""
    if isinstance(value, list):
        return "".join(_text(_mapping(part).get("text")) or "" for part in value)
    return _text(value) or ""


def _tool_calls(message: Mapping[str, object]) -> tuple[ToolCall, ...]:
    calls = message.get("tool_calls")
    found = [_tool_call(_mapping(call)) for call in calls] if isinstance(calls, list) else []
    if isinstance(message.get("function_call"), dict):  # the form before tools, still spoken by some
        found.append(_tool_call({"function": message["function_call"]}))
    return tuple(found)


def _tool_call(call: Mapping[str, object]) -> ToolCall:
    function = _mapping(call.get("function"))
    arguments = function.get("arguments")
    return ToolCall(
        name=_text(function.get("name")) or "",
        arguments=(_text(arguments) or "") if isinstance(arguments, str | None) else json.dumps(arguments),
        id=_text(call.get("id")) or "",
    )


def _usage(usage: Mapping[str, object]) -> Usage:
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(_mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
    )


def _top_logprobs(content: object) -> tuple[Mapping[str, float], ...]:
    """For each generated token, itself first, the likely ones; nothing when any of it is no such thing."""
    if not isinstance(content, list):
        return ()
    places: list[dict[str, float]] = []
    for place in map(_mapping, content):
        listed = place.get("top_logprobs")
        found: dict[str, float] = {}
        for entry in (place, *map(_mapping, listed if isinstance(listed, list) else [])):
            token, logprob = _text(entry.get("token")), finite_number(entry.get("logprob"))
            if token is None or logprob is None:
                return ()
            if logprob >= LEAST_LOGPROB or not found:
                found.setdefault(token, round(logprob, 4))
        places.append(found)
    return tuple(places)


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MOST_TOKENS else None
