"""What comes back: an answer, a vector, or why there is none."""

from collections.abc import Mapping
from dataclasses import field

from harness.records.form import record
from harness.records.words import FailureKind


@record
class Usage:
    """Tokens of one request as the endpoint counts them; None where it does not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None


@record
class ToolCall:
    """A function the model wants called; `arguments` is the JSON text as it came."""

    name: str
    arguments: str
    id: str = ""


@record
class Completion:
    """An answer. An empty `text` is an answer too.

    `refusal` is the API's own refusal field; `latency_s` covers retries, and is None where nobody measured; `cached` says that
    the answer was paid for by an earlier run. `batch` is the provider's id of the batch the answer came with, at the batch's
    price; None of an answer that was asked for by itself. `top_logprobs` has, for each generated token, the natural
    log-probabilities of the likeliest tokens, the generated one first; it is empty where none were asked
    for or given.
    """

    text: str
    finish_reason: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    system_fingerprint: str | None = None
    latency_s: float | None = 0.0
    cached: bool = False
    batch: str | None = None
    top_logprobs: tuple[Mapping[str, float], ...] = ()


@record
class Embedding:
    """A text as a vector, with what it took; `cached` as of a Completion."""

    vector: tuple[float, ...]
    prompt_tokens: int | None = None
    cached: bool = False


@record
class Failure:
    """Why no answer came. Never scored, never zero, never text.

    A `fatal` failure (wrong key, unknown model, exhausted quota) would meet every other request
    of the same model too: the run stops asking it.
    """

    kind: FailureKind
    message: str
    status: int | None = None
    fatal: bool = False
