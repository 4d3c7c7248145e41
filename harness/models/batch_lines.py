"""The lines of a batch's files: requests as they are uploaded, answers as they come back, in any order.

Source: the Batch API of OpenAI's reference. A line in is `{custom_id, method, url, body}`, a line out `{id, custom_id, response, error}`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from harness.models.cached import answer_key
from harness.models.exchange import RefusedError
from harness.models.failures import failure_of, refuses_logprobs
from harness.models.openai_chat import of_trial, read_completion, request_body
from harness.records import Completion, Endpoint, Failure, Json, Message, Sampling, record
from harness.serial import read_json

URL: Literal["/v1/chat/completions"] = "/v1/chat/completions"
MOST_LINES = 50_000
"""Requests that OpenAI takes in one batch."""
MOST_BYTES = 200_000_000
"""Bytes that OpenAI takes as one input file: 200 MB."""
# The codes of OpenAI for lines that were never asked: they are worth sending again.
_UNASKED = frozenset({"batch_expired", "batch_cancelled"})


@record
class Unasked:
    """A request whose answer is not there yet, and the key that its answer will be stored under."""

    key: str
    endpoint: Endpoint
    model: str
    messages: Sequence[Message]
    sampling: Sampling
    trial: int

    def line(self, *, has_logprobs: bool = True) -> bytes:
        """The request as a line of a batch, its body the one that would be sent if it were asked by itself.

        Raises:
            UnicodeEncodeError: The prompt holds half a surrogate pair.
        """
        drawn = of_trial(self.sampling, self.trial)
        body = request_body(
            self.model,
            self.messages,
            drawn if has_logprobs else replace(drawn, top_logprobs=None),
            max_tokens_field=self.endpoint.max_tokens_field,
        )
        whole = {"custom_id": self.key, "method": "POST", "url": URL, "body": body}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def unasked(
    endpoint: Endpoint, model: str, messages: Sequence[Message], sampling: Sampling, *, trial: int
) -> Unasked:
    """A request to come, by the key of its answer."""
    key = answer_key(messages, sampling, endpoint=endpoint.label, model=model, trial=trial)
    return Unasked(
        key=key, endpoint=endpoint, model=model, messages=tuple(messages), sampling=sampling, trial=trial
    )


def in_files(
    lines: Iterable[tuple[str, bytes]], *, most_lines: int = MOST_LINES, most_bytes: int = MOST_BYTES
) -> Iterator[list[tuple[str, bytes]]]:
    """Keys and their lines in as few files as the limits allow, in their order."""
    file: list[tuple[str, bytes]] = []
    size = 0
    for key, line in lines:
        if file and (len(file) >= most_lines or size + len(line) > most_bytes):
            yield file
            file, size = [], 0
        file.append((key, line))
        size += len(line)
    if file:
        yield file


@record
class LineAnswer:
    """What a line of a batch's output or errors says of one request.

    `is_unasked` says that the batch ended before its turn, `refuses_logprobs` that it was refused for the log-probabilities
    it asked for: both may go well in another batch.
    """

    key: str
    outcome: Completion | Failure
    is_unasked: bool = False
    refuses_logprobs: bool = False


def read_line(line: bytes, *, endpoint: Endpoint, model: str, batch: str) -> LineAnswer | None:
    """A line of the output or the errors of a batch; None where it is not told which request it is about."""
    try:
        row: Json = read_json(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    key = row.get("custom_id") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(key, str):
        return None
    response = row.get("response")
    if isinstance(response, dict) and (status := response.get("status_code")) is not None:
        return _answered(key, response, status, endpoint=endpoint, model=model, batch=batch)
    error = row.get("error")
    found: Mapping[str, Json] = error if isinstance(error, dict) else {}
    text, code = json.dumps({"error": dict(found)}), found.get("code")
    return LineAnswer(
        key=key,
        outcome=failure_of(RefusedError(500, text), model=model, endpoint=endpoint, key=endpoint.api_key),
        is_unasked=isinstance(code, str) and code in _UNASKED,
    )


def _answered(
    key: str, response: Mapping[str, Json], status: Json, *, endpoint: Endpoint, model: str, batch: str
) -> LineAnswer:
    body = response.get("body")
    text = body if isinstance(body, str) else json.dumps(body)
    if status == 200:
        answer = read_completion(
            text, place=f"{model} at {endpoint.label}", latency_s=None, key=endpoint.api_key
        )
        return LineAnswer(
            key=key, outcome=replace(answer, batch=batch) if isinstance(answer, Completion) else answer
        )
    error = RefusedError(status if isinstance(status, int) else 500, text)
    return LineAnswer(
        key=key,
        outcome=failure_of(error, model=model, endpoint=endpoint, key=endpoint.api_key),
        refuses_logprobs=refuses_logprobs(error),
    )
