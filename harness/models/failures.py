"""Why a request got no answer: the ends of an exchange as Failures a person can act on.

Codes and envelopes: OpenAI's API reference (`{"error": {message, type, param, code}}`); the other
spellings are those of Azure, vLLM, Ollama and FastAPI servers.
"""

from harness.models.exchange import (
    BrokenConnectionError,
    ExchangeError,
    RefusedError,
    TimedOutError,
    UnreadableError,
)
from harness.records import Endpoint, Failure, FailureKind, record
from harness.redaction import public_url, redact

MAX_WORDS = 300
"""Characters of the provider's own words that a message carries."""
MOST_READ = 50 * MAX_WORDS
"""Characters of them that are looked through for keys."""

_NO_MONEY = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "exceeded_quota",
    "exceeded_current_quota_error",
}
_NO_MODEL = {"model_not_found", "DeploymentNotFound", "invalid_model", "model_not_available"}
_NO_SETTING = {"unsupported_parameter", "unsupported_value", "unknown_parameter"}


@record
class _Reading:
    """What an exception means, before the provider's words are put beside it."""

    kind: FailureKind
    problem: str
    remedy: str = ""
    fatal: bool = False


def failure_of(error: ExchangeError, *, model: str, endpoint: Endpoint, key: str | None = None) -> Failure:
    """An exchange that ended without an answer as a Failure: kind, place, the provider's words, the remedy.

    Args:
        error: How it ended, after all retries.
        model: The model that was asked.
        endpoint: Where it was asked.
        key: The key in use, to be cut out of the provider's words.
    """
    words = ""
    if isinstance(error, TimedOutError):
        reading = _Reading(
            kind="timeout",
            problem=f"no answer within {endpoint.timeout_s:g} s",
            remedy="raise timeout_s, or lower max_tokens or the concurrency",
        )
    elif isinstance(error, BrokenConnectionError):
        reading, words = _connection(error, endpoint), str(error)
    elif isinstance(error, RefusedError):
        reading, words = _status(error, model), error.words
    elif isinstance(error, UnreadableError):
        reading, words = _Reading(kind="malformed", problem="the answer could not be read"), str(error)
    else:
        reading = _Reading(
            kind="auth",
            problem="the client has no API key",
            remedy="set OPENAI_API_KEY, or api_key_env in the model's table",
            fatal=True,
        )
    return Failure(
        kind=reading.kind,
        message=_sentence(reading, f"{model} at {endpoint.label}", short(words, key)),
        status=error.status if isinstance(error, RefusedError) else None,
        fatal=reading.fatal,
    )


def stops_all(error: RefusedError) -> bool:
    """Whether every other request to the endpoint would be refused the same way: no money, no key, no right."""
    return error.status in {401, 402, 403} or _is_out_of_money(error)


def refuses_logprobs(error: ExchangeError) -> bool:
    """Whether a request was rejected because of the log-probabilities it asked for.

    Servers that have none, or fewer than were asked for, say so in words of their own; the setting is named
    by all of them.
    """
    if not isinstance(error, RefusedError) or error.status not in {400, 422}:
        return False
    return "logprob" in f"{error.param or ''} {error.words}".lower()


def short(words: str, key: str | None = None) -> str:
    """Words from outside as a message may carry them: redacted, on one line, cut, unable to steer a terminal."""
    if len(words) > MOST_READ:
        # Whoever sends megabytes of words must not hold the run up; the last word may be half of a key.
        words = " ".join(words[:MOST_READ].rsplit(maxsplit=1)[:1])
    shown = "".join(letter if letter.isprintable() else " " for letter in redact(words, key))
    line = " ".join(shown.split())
    return line if len(line) <= MAX_WORDS else line[: MAX_WORDS - 1] + "…"


def _sentence(reading: _Reading, place: str, words: str) -> str:
    text = f"{place}: {reading.problem}" + (f": {words}" if words else "")
    return f"{text} ({reading.remedy})" if reading.remedy else text


def _connection(error: BrokenConnectionError, endpoint: Endpoint) -> _Reading:
    """A broken connection may heal; a host that does not exist or refuses meets every request."""
    if not error.is_unreachable:
        return _Reading(kind="connection", problem="the connection broke", remedy="run again to resume")
    where = public_url(endpoint.base_url) if endpoint.base_url else "the provider's default address"
    return _Reading(
        kind="connection",
        problem=f"nothing answers at {where}",
        remedy="is the server running, and base_url and the proxy settings right?",
        fatal=True,
    )


def _status(error: RefusedError, model: str) -> _Reading:
    status, names = error.status, {error.code or "", error.kind or ""}
    if _is_out_of_money(error):
        return _Reading(
            kind="quota",
            problem="out of quota",
            remedy="check the plan and billing of this key",
            fatal=True,
        )
    if status in {401, 403}:
        return _refused(status)
    if status == 404 or names & _NO_MODEL:
        return _missing(error, names, model)
    if status == 429:
        return _Reading(
            kind="rate_limit",
            problem="rate limited to the last retry",
            remedy="lower the concurrency, or run again later to resume",
        )
    if status == 408:
        return _Reading(kind="timeout", problem="the endpoint timed out (408)", remedy="run again to resume")
    if status >= 500:
        return _Reading(
            kind="server",
            problem=f"the endpoint failed to the last retry ({status})",
            remedy="run again later to resume",
        )
    return _rejected(error, names)


def _is_out_of_money(error: RefusedError) -> bool:
    return error.status == 402 or (error.status == 429 and bool({error.code, error.kind} & _NO_MONEY))


def _refused(status: int) -> _Reading:
    if status == 401:
        return _Reading(
            kind="auth",
            problem="the key is missing or wrong (401)",
            remedy="check the key: OPENAI_API_KEY, or api_key_env in the model's table",
            fatal=True,
        )
    return _Reading(
        kind="auth",
        problem="the key may not do this (403)",
        remedy="check the key's project, permissions and region",
        fatal=True,
    )


def _missing(error: RefusedError, names: set[str], model: str) -> _Reading:
    """A 404 is a model that is not there, or a URL that is not an API."""
    if names & _NO_MODEL or "model" in error.words.lower():
        fresh = "; a model fine-tuned minutes ago may need a few more" if model.startswith("ft:") else ""
        return _Reading(
            kind="model_not_found",
            problem=f"no such model ({error.status})",
            remedy=f"check the name and that this key may use it{fresh}",
            fatal=True,
        )
    return _Reading(
        kind="bad_request",
        problem="the URL has no such API (404)",
        remedy="check base_url, it usually ends in /v1",
        fatal=True,
    )


def _rejected(error: RefusedError, names: set[str]) -> _Reading:
    words = error.words.lower()
    unknown = bool(names & _NO_SETTING) or "unsupported parameter" in words or "unrecognized request" in words
    if not unknown:
        return _Reading(kind="bad_request", problem=f"the request was rejected ({error.status})")
    setting = error.param or "one of the settings"
    field = "max_tokens_field of the endpoint" if "max_" in setting else "the suite's sampling"
    return _Reading(
        kind="bad_request",
        problem=f"{setting} is not supported ({error.status})",
        remedy=f"change {field}",
        fatal=True,
    )
