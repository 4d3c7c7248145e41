"""A chat endpoint that does as it is told: scripted answers and scripted trouble, on a loopback port.

It speaks real HTTP, so the client's parsing, retries and time-outs are in the test too.
"""

import contextlib
import json
import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from email.utils import formatdate
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
    """Trouble for one request, in place of an answer; of status 200 and without a `body`, it is the answer in an odd manner.

    Args:
        status: The HTTP status.
        message: The `message` of OpenAI's error envelope.
        code: Its `code`, such as `insufficient_quota`; the client knows errors by it.
        param: Its `param`, the setting that is wrong.
        headers: Further headers, such as `retry-after`, `retry-after-ms` or `x-should-retry`.
        back_in_s: Name the moment so many seconds after the sending in `Retry-After`, as an HTTP date, which has whole seconds.
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
    back_in_s: float | None = None
    body: str | None = None
    drop: bool = False
    cut: bool = False
    wait_s: float = 0.0
    trickle_s: float = 0.0
    content_type: str = "application/json"


@record
class Answer:
    """An answer that is more than its text: why it ended, what the provider says beside it.

    Without a `system_fingerprint` it has the endpoint's.
    """

    text: str | None = None
    finish_reason: str = "stop"
    refusal: str | None = None
    system_fingerprint: str | None = None


# What an endpoint may do that gets over it: a client that asks again is answered.
BUSY = Fault(status=429, code="rate_limit_exceeded", message="Rate limit reached")
BUSY_FOR_1_S = replace(BUSY, headers={"retry-after": "1"})
BUSY_FOR_20_MS = replace(BUSY, headers={"retry-after-ms": "20"})
BUSY_UNTIL_A_DATE = replace(BUSY, back_in_s=1.0)
BROKEN = Fault(status=500, message="The server had an error while processing your request")
LOADING = Fault(status=503, message="the model is being loaded", headers={"retry-after": "0.01"})
DROPPED = Fault(drop=True)
HALF_SENT = Fault(status=200, cut=True)
SLOW_TAIL = Fault(status=200, trickle_s=0.2)
MISLABELLED = Fault(status=200, content_type="text/plain")
# What asking again does not help against: the next requests would fare the same.
NO_MONEY = Fault(status=429, code="insufficient_quota", message="You exceeded your current quota")
WRONG_KEY = Fault(status=401, code="invalid_api_key", message="Incorrect API key provided")
# What comes in place of an answer, as if it were one.
NOT_JSON = Fault(status=200, body='{"choices": [')
WEB_PAGE = Fault(status=200, body="<html><title>Welcome</title></html>", content_type="text/html")
NO_CHOICES = Fault(status=200, body='{"object": "chat.completion", "choices": []}')
# An answer, though not what was hoped for.
FILTERED = Answer(finish_reason="content_filter")

Reply: TypeAlias = str | Answer
Answers: TypeAlias = Mapping[str, Reply] | Callable[[str], Reply] | Reply
"""By the text of the last user message; one answer answers everything."""
Event: TypeAlias = Fault | Answer | int | None
"""What happens to a request: trouble, an answer of its own, a plain HTTP error; None is the answer it would have anyway."""
Script: TypeAlias = Iterable[Event] | Callable[[Mapping[str, Json]], Event]
"""One entry a request, in the order of arrival, or a function of the request's body.

After the last entry all requests are answered. `itertools.repeat(429)` never ends.
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
        >>> with FaultyEndpoint({"2+2?": "4"}, faults=[BUSY, 500, DROPPED]) as endpoint:
        ...     client = ChatClient(Endpoint(label="test", base_url=endpoint.base_url))

    Args:
        answers: What it answers.
        faults: The trouble it has with requests before that.
        latency_s: How long every request takes at least.
        models: The objects of its list of models.
        fingerprint: The `system_fingerprint` of its answers, or a function of how many it gave before.

    Attributes:
        bodies: The parsed requests, in the order of arrival.
        keys: The API key each of them came with.
        answered: How many completions it gave, those too that broke off on their way.
        listings: How often its list of models was asked for; it has the objects of `models`.
    """

    def __init__(
        self,
        answers: Answers = "ok",
        *,
        faults: Script = (),
        latency_s: float = 0.0,
        models: Sequence[Mapping[str, Json]] = (),
        fingerprint: str | Callable[[int], str] = "fp_scripted",
    ) -> None:
        self.bodies: list[Mapping[str, Json]] = []
        self.keys: list[str] = []
        self.answered = 0
        self.listings = 0
        self._models = models
        self._answers = answers
        self._faults = faults if callable(faults) else iter(faults)
        self._latency_s = latency_s
        self._fingerprint = fingerprint
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
            event = self._faults(body) if callable(self._faults) else _next(self._faults)
        self.rest(self._latency_s)
        fault = Fault(status=event) if isinstance(event, int) else event
        if isinstance(fault, Fault):
            self.rest(fault.wait_s)
            if fault.status != 200 or fault.body is not None:
                return fault
        answer = fault if isinstance(fault, Answer) else self._answer(body)
        if not isinstance(answer, Answer):
            return answer
        answer = self._given(answer)
        if isinstance(fault, Fault):  # the answer, in an odd manner
            return replace(fault, body=json.dumps(_completion(body, answer)))
        return answer

    def _answer(self, body: Mapping[str, Json]) -> Answer | Fault:
        """The scripted answer, whatever may happen to it on its way."""
        prompt = _prompt(body)
        if callable(self._answers):
            reply: Reply | None = self._answers(prompt)
        else:
            reply = self._answers.get(prompt) if isinstance(self._answers, Mapping) else self._answers
        if reply is None:
            return Fault(status=400, message=f"no answer is scripted for {prompt!r}")
        return Answer(text=reply) if isinstance(reply, str) else reply

    def _given(self, answer: Answer) -> Answer:
        """The answer as one that is given now."""
        with self._lock:
            number = self.answered
            self.answered += 1
        if answer.system_fingerprint is not None:
            return answer
        named = self._fingerprint
        return replace(answer, system_fingerprint=named if isinstance(named, str) else named(number))


def _next(faults: Iterator[Event]) -> Event:
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
            self._send(reaction.status, _envelope(reaction), reaction)

    def _send(self, status: int, text: str, manner: Fault) -> None:
        data = text.encode("utf-8")
        self.send_response(status)
        self.send_header("content-type", manner.content_type)
        self.send_header("content-length", str(len(data)))
        for name, value in (manner.headers or {}).items():
            self.send_header(name, value)
        if manner.back_in_s is not None:
            moment = math.ceil(time.time() + manner.back_in_s)
            self.send_header("retry-after", formatdate(moment, usegmt=True))
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


def _envelope(fault: Fault) -> str:
    if fault.body is not None:
        return fault.body
    error = {"message": fault.message, "type": "scripted", "param": fault.param, "code": fault.code}
    return json.dumps({"error": error})
