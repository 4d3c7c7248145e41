"""A chat endpoint that does as it is told: scripted answers and scripted trouble, on a loopback port.

It speaks real HTTP, so the official client's parsing, retries and time-outs are in the test too.
"""

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TypeAlias

from harness.records import Json, record

# How often the listener looks whether it should stop: short, so that leaving the block is quick.
_POLL_S = 0.02
# In how many pieces an answer trickles in.
PIECES = 8


@record
class Fault:
    """Trouble for one request, in place of an answer.

    Args:
        status: The HTTP status.
        message: The `message` of OpenAI's error envelope.
        code: Its `code`, such as `insufficient_quota`; the client knows errors by it.
        param: Its `param`, the setting that is wrong.
        headers: Further headers, such as `retry-after-ms` or `x-should-retry`.
        body: Sent as it is in place of the envelope; with status 200 it is a malformed answer.
        drop: Close the connection without a word.
        cut: Promise the whole answer, send half of it, close the connection.
        wait_s: Say nothing for so long first.
        trickle_s: Send the answer in pieces over so long.
        content_type: What the answer says it is.
    """

    status: int = 500
    message: str = "scripted fault"
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] | None = None
    body: str | None = None
    drop: bool = False
    cut: bool = False
    wait_s: float = 0.0
    trickle_s: float = 0.0
    content_type: str = "application/json"


@record
class Answer:
    """An answer that is more than its text: why it ended, what the provider says beside it."""

    text: str | None = None
    finish_reason: str = "stop"
    refusal: str | None = None
    system_fingerprint: str = "fp_scripted"


DROPPED = Fault(drop=True)
HALF_SENT = Fault(status=200, cut=True)
NOT_JSON = Fault(status=200, body='{"choices": [')
WEB_PAGE = Fault(status=200, body="<html><title>Welcome</title></html>")
LOADING = Fault(status=503, message="the model is being loaded", headers={"retry-after": "0.01"})
NO_MONEY = Fault(status=429, code="insufficient_quota", message="You exceeded your current quota")
NO_CHOICES = Fault(status=200, body='{"object": "chat.completion", "choices": []}')

Reply: TypeAlias = str | Answer
Answers: TypeAlias = Mapping[str, Reply] | Callable[[str], Reply] | Reply
"""By the text of the last user message; one answer answers everything."""
Script: TypeAlias = Iterable[Fault | int | None] | Callable[[Mapping[str, Json]], Fault | int | None]
"""One entry a request, in the order of arrival, or a function of the request's body.

An int is a plain HTTP error, None an answer; after the last entry all requests are answered.
`itertools.repeat(429)` never ends.
"""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A run opens its connections at once; those that find the default queue of 5 full are reset.
    request_queue_size = 128

    def __init__(self, endpoint: "FaultyEndpoint") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = endpoint

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that gave up waiting; of anything else, as the library does."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class FaultyEndpoint:
    """An OpenAI-like chat endpoint for tests, alive inside a `with` block.

    Example:
        >>> with FaultyEndpoint({"2+2?": "4"}, faults=[500]) as endpoint:
        ...     client = ChatClient(Endpoint(label="test", base_url=endpoint.base_url))

    Attributes:
        bodies: The parsed requests, in the order of arrival.
        keys: The API key each of them came with.
        answered: How many of them got a completion.
        listings: How often its list of models was asked for; it has the objects of `models`.
    """

    def __init__(
        self,
        answers: Answers = "ok",
        *,
        faults: Script = (),
        latency_s: float = 0.0,
        models: Sequence[Mapping[str, Json]] = (),
    ) -> None:
        self.bodies: list[Mapping[str, Json]] = []
        self.keys: list[str] = []
        self.answered = 0
        self.listings = 0
        self._models = models
        self._answers = answers
        self._faults = faults if callable(faults) else iter(faults)
        self._latency_s = latency_s
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), daemon=True)

    def __enter__(self) -> "FaultyEndpoint":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        """What the client is given; the port is free and new each time."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def requests(self) -> int:
        """How many requests came, the client's retries included."""
        return len(self.bodies)

    def list_models(self) -> str:
        """The answer to who asks for the list of models."""
        with self._lock:
            self.listings += 1
        return json.dumps({"object": "list", "data": [dict(model) for model in self._models]})

    def route(self, method: str, path: str, data: bytes) -> tuple[int, bytes] | None:  # noqa: ARG002 - for those that have more routes
        """Status and body of another route than those for chat completions and models; None where there is none."""
        return None

    def answer(self, body: Mapping[str, Json], key: str) -> tuple[int, Json]:
        """Status and body of what a request gets that comes without HTTP, in a batch."""
        reaction = self.react(body, key)
        if isinstance(reaction, Answer):
            return 200, _completion(body, reaction)
        return reaction.status, json.loads(_envelope(reaction))

    def rest(self, seconds: float) -> None:
        """Wait, but not beyond the end of the block."""
        if seconds > 0:
            self._leaving.wait(seconds)

    def react(self, body: Mapping[str, Json], key: str) -> Fault | Answer:
        """What this request gets: the script's trouble, or the answer."""
        with self._lock:
            self.bodies.append(body)
            self.keys.append(key)
            fault = self._faults(body) if callable(self._faults) else _next(self._faults)
        self.rest(self._latency_s)
        if fault is not None:
            fault = Fault(status=fault) if isinstance(fault, int) else fault
            self.rest(fault.wait_s)
            return fault
        prompt = _prompt(body)
        if callable(self._answers):
            reply: Reply | None = self._answers(prompt)
        else:
            reply = self._answers.get(prompt) if isinstance(self._answers, Mapping) else self._answers
        if reply is None:
            return Fault(status=400, message=f"no answer is scripted for {prompt!r}")
        with self._lock:
            self.answered += 1
        return Answer(text=reply) if isinstance(reply, str) else reply


def _next(faults: Iterator[Fault | int | None]) -> Fault | int | None:
    return next(faults, None)


def _prompt(body: Mapping[str, Json]) -> str:
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return str(message.get("content"))
    return ""


def _words(body: Mapping[str, Json]) -> list[str]:
    """The words of all messages."""
    messages = body.get("messages")
    listed = (
        [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    )
    return [word for message in listed for word in str(message.get("content")).split()]


def _completion(body: Mapping[str, Json], answer: Answer) -> Mapping[str, Json]:
    """A chat completion in OpenAI's form; a token is a word here."""
    prompt_tokens, completion_tokens = len(_words(body)), len((answer.text or "").split())
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model"),
        "system_fingerprint": answer.system_fingerprint,
        "choices": [
            {
                "index": 0,
                "finish_reason": answer.finish_reason,
                "message": {"role": "assistant", "content": answer.text, "refusal": answer.refusal},
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: apart, the second waits 40 ms for an acknowledgement

    def do_GET(self) -> None:
        if (found := self.server.endpoint.route("GET", self.path, b"")) is not None:
            self._send(found[0], found[1].decode(), Fault())
        elif self.path.endswith("/models"):
            self._send(200, self.server.endpoint.list_models(), Fault())
        else:
            self._send(404, _envelope(Fault(status=404, message="only models are listed")), Fault())

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("content-length", 0)))
        if (found := self.server.endpoint.route("POST", self.path, data)) is not None:
            self._send(found[0], found[1].decode(), Fault())
            return
        body = json.loads(data or b"{}")
        reaction = self.server.endpoint.react(
            body, self.headers.get("authorization", "").removeprefix("Bearer ")
        )
        if isinstance(reaction, Answer):
            self._send(200, json.dumps(_completion(body, reaction)), Fault())
        elif reaction.drop:
            self.close_connection = True
        else:
            self._send(reaction.status, _text(body, reaction), reaction)

    def _send(self, status: int, text: str, manner: Fault) -> None:
        data = text.encode("utf-8")
        self.send_response(status)
        self.send_header("content-type", manner.content_type)
        self.send_header("content-length", str(len(data)))
        for name, value in (manner.headers or {}).items():
            self.send_header(name, value)
        with contextlib.suppress(ConnectionError):  # the client gave up waiting
            self.end_headers()
            if manner.cut:
                self.close_connection = True
                data = data[: len(data) // 2]
            for piece in _pieces(data, PIECES if manner.trickle_s else 1):
                self.wfile.write(piece)
                self.wfile.flush()
                self.server.endpoint.rest(manner.trickle_s / PIECES)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
        """Say nothing: a test's output is its own."""


def _pieces(data: bytes, count: int) -> list[bytes]:
    size = max(1, -(-len(data) // count))
    return [data[start : start + size] for start in range(0, len(data), size)]


def _text(body: Mapping[str, Json], fault: Fault) -> str:
    """What is sent in place of an answer; a success that trickles or is cut off is an answer but for that."""
    if fault.status == 200 and fault.body is None:
        return json.dumps(_completion(body, Answer(text="late")))
    return _envelope(fault)


def _envelope(fault: Fault) -> str:
    if fault.body is not None:
        return fault.body
    error = {"message": fault.message, "type": "scripted", "param": fault.param, "code": fault.code}
    return json.dumps({"error": error})
