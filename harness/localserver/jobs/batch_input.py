"""The input of a batch: its requests, line by line, and what is wrong with them, in OpenAI's words where they are known."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.localserver.state.batches import BatchFault
from harness.serial import read_json_lines

# OpenAI's limits.
MAX_REQUESTS = 50_000
MAX_INPUT_BYTES = 200 * 2**20
# As much as the routes take as one request.
MAX_LINE_BYTES = 16 * 2**20
# A file of the wrong kind is wrong in every line; nobody reads more than these.
MAX_FAULTS = 1000

# What the body of a request to each URL must have, and its name in OpenAI's message.
ENDPOINTS = {"/v1/chat/completions": ("messages", "Messages"), "/v1/completions": ("prompt", "Prompt")}

_KEYS = ("custom_id", "method", "url", "body")


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """One line of the input."""

    custom_id: str
    body: Mapping[str, object]

    @property
    def answers(self) -> int:
        """How many answers it asks for, if it is a sound request."""
        prompts, each = self.body.get("prompt"), self.body.get("n")
        wide = len(prompts) if isinstance(prompts, list) else 1
        return max(1, wide * (each if isinstance(each, int) else 1))


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What an input was found to be; `model` is the name all requests use, `model_line` the first line that does."""

    total: int
    faults: tuple[BatchFault, ...]
    model: str | None = None
    model_line: int | None = None


class _Check:
    """What must be remembered of the lines before."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.model: str | None = None
        self.model_line: int | None = None
        self.custom_ids: set[str] = set()

    def faults(self, line: int, row: Mapping[str, object]) -> Iterator[BatchFault]:
        for key in _KEYS:
            if row.get(key) is None:
                yield _fault(
                    "missing_required_parameter",
                    f"Missing required parameter: '{key}'.",
                    line=line,
                    param=key,
                )
        yield from self._custom_id_faults(line, row.get("custom_id"))
        method, url, body = row.get("method"), row.get("url"), row.get("body")
        if method not in (None, "POST"):
            yield _fault(
                "invalid_method",
                "Invalid value for 'method'. Supported values are: 'POST'.",
                line=line,
                param="method",
            )
        if url not in (None, self.endpoint):
            message = "The URL provided for this request does not match the batch endpoint."
            yield _fault("invalid_url", message, line=line, param="url")
        if isinstance(body, Mapping):
            yield from self._body_faults(line, body)
        elif body is not None:
            yield _fault(
                "invalid_request", "Invalid type for 'body': expected an object.", line=line, param="body"
            )

    def _custom_id_faults(self, line: int, custom_id: object) -> Iterator[BatchFault]:
        if custom_id is None:
            return
        if not isinstance(custom_id, str):
            message = "Invalid type for 'custom_id': expected a string."
            yield _fault("invalid_request", message, line=line, param="custom_id")
        elif custom_id in self.custom_ids:
            message = (
                f"The custom_id '{custom_id[:100]}' for this request is a duplicate of another request. The custom_id "
                "parameter must be unique for each request in a batch."
            )
            yield _fault("duplicate_custom_id", message, line=line, param="custom_id")
        else:
            self.custom_ids.add(custom_id)

    def _body_faults(self, line: int, body: Mapping[str, object]) -> Iterator[BatchFault]:
        key, name = ENDPOINTS[self.endpoint]
        model = body.get("model")
        if not isinstance(model, str):
            yield _fault("invalid_request", "Model parameter is required.", line=line, param="body.model")
        elif self.model is None:
            self.model, self.model_line = model, line
        elif model != self.model:
            message = (
                f"The model '{model[:100]}' for this request does not match the rest of the batch. Each batch must "
                "contain requests for a single model."
            )
            yield _fault("mismatched_model", message, line=line, param="body.model")
        if body.get(key) is None:
            yield _fault("invalid_request", f"{name} parameter is required.", line=line, param=f"body.{key}")
        if body.get("stream"):
            kind = "Chat Completions" if key == "messages" else "Completions"
            message = f"{kind}: Streaming is not supported in the Batch API."
            yield _fault("streaming_unsupported", message, line=line, param="body.stream")


def check_input(path: Path, endpoint: str) -> Checked:
    """Read the whole input; the requests are at fault, never the reader. Whether the model exists is not known here."""
    size = path.stat().st_size
    if size > MAX_INPUT_BYTES:
        message = f"The batch input file has {size} bytes, more than the {MAX_INPUT_BYTES} that are taken."
        return Checked(total=0, faults=(BatchFault(code="file_too_large", message=message),))
    check = _Check(endpoint)
    faults: list[BatchFault] = []
    total = 0
    for line, row in _rows(path):
        total += 1
        if total > MAX_REQUESTS:
            message = f"The batch input file has more than the {MAX_REQUESTS} requests that are taken."
            return Checked(total=0, faults=(BatchFault(code="too_many_tasks", message=message),))
        if isinstance(row, BatchFault):
            faults.append(row)
        else:
            faults += check.faults(line, row)
        if len(faults) >= MAX_FAULTS:
            break
    if not total:
        message = "The batch input file is empty. Please ensure that the batch contains at least one request."
        faults.append(BatchFault(code="empty_file", message=message))
    return Checked(total=total, faults=tuple(faults), model=check.model, model_line=check.model_line)


def read_requests(path: Path) -> Iterator[BatchRequest]:
    """The requests of an input that `check_input` found no fault with."""
    for _, row in _rows(path):
        assert not isinstance(row, BatchFault)
        custom_id, body = row["custom_id"], row["body"]
        assert isinstance(custom_id, str)
        assert isinstance(body, Mapping)
        yield BatchRequest(custom_id=custom_id, body=body)


def unknown_model_fault(name: str, line: int | None) -> BatchFault:
    """The fault of a batch for a model that is not served here."""
    message = f"The provided model '{name[:100]}' is not supported by the Batch API."
    return BatchFault(code="model_not_found", message=message, param="body.model", line=line)


def missing_file_fault(file_id: str) -> BatchFault:
    """The fault of a batch whose input was never uploaded, or is deleted."""
    message = f"Cannot find file {file_id[:100]}, or organization org-local does not have access to it."
    return BatchFault(code="invalid_request", message=message, param="file_id")


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, object] | BatchFault]]:
    """Every line that is not blank, with its number from 1; a fault in place of one that is no JSON object."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                message = f"This line has more than the {MAX_LINE_BYTES} bytes that are taken."
                yield number, _fault("invalid_request", message, line=number)
                _skip_line(file, line)
            elif line.strip():
                yield number, _row(line, number)


def _skip_line(file: BinaryIO, begun: bytes) -> None:
    while begun and not begun.endswith(b"\n"):
        begun = file.readline(MAX_LINE_BYTES)


def _row(line: bytes, number: int) -> Mapping[str, object] | BatchFault:
    try:
        rows, mistakes = read_json_lines(line.decode())
        if (
            rows and b"\\u" in line
        ):  # half a surrogate pair can be written so, and nothing can be done with it
            json.dumps(rows[0][1], ensure_ascii=False).encode()
    except UnicodeError:
        rows, mistakes = [], []
    if mistakes or not rows:
        return _fault("invalid_json_line", "This line is not parseable as valid JSON.", line=number)
    row = rows[0][1]
    if not isinstance(row, Mapping):
        return _fault("invalid_request", "This line is not a JSON object.", line=number)
    return row


def _fault(code: str, message: str, *, line: int, param: str | None = None) -> BatchFault:
    return BatchFault(code=code, message=message, param=param, line=line)
