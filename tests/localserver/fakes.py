"""A server with a real store, queue and socket, whose engine echoes and whose trainer only pretends."""

import asyncio
import base64
import codecs
import http.client
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Set
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from openai import OpenAI
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from pydantic import BaseModel

from harness.errors import UsageError
from harness.localserver.api.connections import server_settings
from harness.localserver.api.routes import create_app
from harness.localserver.api.services import ServedModel, Terms
from harness.localserver.generation.requests import (
    Conversation,
    GenerationRequest,
    GenerationResult,
    Piece,
    TokenLogprob,
)
from harness.localserver.jobs.trainer_process import TrainerSetup
from harness.localserver.state.store import open_store

T = TypeVar("T")
Record = TypeVar("Record", bound=BaseModel)

BASE = ServedModel(name="tiny-base", created_at=1_700_000_000, digest="d" * 64, fingerprint="fp_0123456789")
TRAINER = (sys.executable, str(Path(__file__).with_name("fake_trainer.py")))


FOREVER = "forever"
"""A prompt with this word is never answered to its end."""


class EchoEngine:
    """Answers with the last message, or the text, the adapter's name before it; one word is one token, and 50 fit.

    With `together` it answers nothing before that many requests wait. It breaks after `breaks_after` pieces of an answer,
    at once with `fails`. A schema that allows no value is one it cannot follow. With `bytewise` log-probabilities are reported of
    single bytes, as if they were its tokens.
    """

    context_length = 50

    def __init__(
        self,
        *,
        together: int = 1,
        fails: bool = False,
        breaks_after: int | None = None,
        bytewise: bool = False,
    ) -> None:
        self.requests: list[GenerationRequest] = []
        self.abandoned: list[GenerationRequest] = []
        self.closed = False
        self._together = together
        self._breaks_after = 0 if fails else breaks_after
        self._bytewise = bytewise
        self._waiting: list[_Waiting] = []
        self._asked: dict[Future[GenerationResult], GenerationRequest] = {}

    def count_prompt_tokens(self, prompt: Conversation | str) -> int:
        return sum(len(text.split()) for text in texts_of(prompt))

    def submit(
        self, request: GenerationRequest, *, on_piece: Callable[[Piece], None] | None = None
    ) -> "Future[GenerationResult]":
        if request.schema and json.loads(request.schema).get("enum") == []:
            raise UsageError("nothing satisfies it")
        future: Future[GenerationResult] = Future()
        self.requests.append(request)
        self._asked[future] = request
        self._waiting.append((request, future, on_piece))
        if len(self._waiting) >= self._together:
            for waiting in self._waiting:
                self._answer(*waiting)
            self._waiting.clear()
        return future

    def abandon(self, future: "Future[GenerationResult]") -> None:
        self.abandoned.append(self._asked[future])

    def close(self) -> None:
        self.closed = True

    def _answer(
        self,
        request: GenerationRequest,
        future: "Future[GenerationResult]",
        on_piece: Callable[[Piece], None] | None,
    ) -> None:
        if not future.set_running_or_notify_cancel():
            return
        words = texts_of(request.prompt)[-1].split()
        said = [*([request.adapter.name] if request.adapter else []), *words[: request.max_tokens]]
        tokens = tokens_of(" ".join(said), request.top_logprobs, bytewise=self._bytewise)
        decoder = codecs.getincrementaldecoder("utf-8")()
        for at, token in enumerate(tokens):
            if at == self._breaks_after:
                break
            if token.data.strip() == FOREVER.encode():
                return
            if on_piece:
                logprobs = () if request.top_logprobs is None else (token,)
                on_piece(Piece(text=decoder.decode(token.data), logprobs=logprobs))
        if self._breaks_after is not None:
            future.set_exception(RuntimeError("the engine broke"))
            return
        future.set_result(
            GenerationResult(
                text=" ".join(said),
                finish_reason="stop" if len(words) <= request.max_tokens else "length",
                prompt_tokens=self.count_prompt_tokens(request.prompt),
                completion_tokens=len(said),
                logprobs=None if request.top_logprobs is None else tuple(tokens),
                cached_tokens=1,
            )
        )


_Waiting = tuple[GenerationRequest, Future[GenerationResult], Callable[[Piece], None] | None]


def texts_of(prompt: Conversation | str) -> list[str]:
    return [prompt] if isinstance(prompt, str) else [message["content"] for message in prompt]


def tokens_of(text: str, alternatives: int | None, *, bytewise: bool) -> list[TokenLogprob]:
    """The tokens of an answer: the first is certain, and the last alternative of each impossible."""
    parts = [bytes([byte]) for byte in text.encode()] if bytewise else re.findall(rb" ?[^ ]+", text.encode())
    return [
        TokenLogprob(
            text=part.decode(errors="replace"),
            data=part,
            logprob=-0.5 * at,
            alternatives=tuple(
                TokenLogprob(
                    text=part.decode(errors="replace") + str(number),
                    data=part + str(number).encode(),
                    logprob=-float(number or "inf"),
                )
                for number in reversed(range(alternatives or 0))
            ),
        )
        for at, part in enumerate(parts)
    ]


def events_of(server: "Server", path: str, body: object) -> list[Any]:
    """The events of a stream, which ends with the mark for its end."""
    status, headers, answer = server.ask("POST", path, json.dumps(body), {"content-type": "application/json"})
    assert status == 200, answer
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    *events, done, rest = answer.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    return [json.loads(event.removeprefix(b"data: ")) for event in events]


class Server:
    """A running server: `client` is OpenAI's own, `ask` speaks plain HTTP."""

    def __init__(self, address: tuple[str, int], engine: EchoEngine, api_key: str | None) -> None:
        self.host = f"{address[0]}:{address[1]}"
        self.engine = engine
        self.base_url = f"http://{self.host}/v1"
        self.client = OpenAI(base_url=self.base_url, api_key=api_key or "any", max_retries=0)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()

    def post(self, path: str, value: object) -> tuple[int, Any]:
        """Status and JSON of a POST of JSON; bytes and text are sent as they are."""
        body = value if isinstance(value, (bytes, str)) else json.dumps(value)
        status, _, answer = self.ask("POST", path, body, {"content-type": "application/json"})
        return status, json.loads(answer)

    def get(self, path: str) -> tuple[int, Any]:
        status, _, answer = self.ask("GET", path)
        return status, json.loads(answer)

    def upload(self, content: bytes, *, purpose: str = "fine-tune", name: str = "rows.jsonl") -> FileObject:
        return self.client.files.create(file=(name, content), purpose=purpose)  # type: ignore[arg-type]

    def train(self, content: bytes | None = None, **parameters: Any) -> FineTuningJob:
        """A new job on freshly uploaded rows, twelve of them unless others are given."""
        training = self.upload(training_rows() if content is None else content)
        return self.client.fine_tuning.jobs.create(model=BASE.name, training_file=training.id, **parameters)

    def wait(self, job: FineTuningJob, *until: str, within_s: float = 20) -> FineTuningJob:
        """The job once it has one of these states, or has ended."""
        wanted = until or ("succeeded", "failed", "cancelled")

        def found() -> FineTuningJob | None:
            job_now = self.client.fine_tuning.jobs.retrieve(job.id)
            return job_now if job_now.status in wanted else None

        return wait_for(found, within_s=within_s)

    def events(self, job: FineTuningJob) -> list[FineTuningJobEvent]:
        """All events, oldest first."""
        return list(self.client.fine_tuning.jobs.list_events(job.id, limit=100))[::-1]

    def table(self, job: FineTuningJob) -> list[str]:
        """The lines of a succeeded job's result file."""
        content = self.client.files.content(job.result_files[0]).content
        return base64.b64decode(content, validate=True).decode().splitlines()


def strictly(cls: type[Record], data: object, extras: Set[str] = frozenset()) -> Record:
    """The object by the client's own type: no value converted, no key that the type does not know but `extras`."""
    value = cls.model_validate(data, strict=True)
    assert unknown_keys(value) == set(extras)
    return value


def unknown_keys(value: object) -> set[str]:
    if isinstance(value, list):
        return {key for item in value for key in unknown_keys(item)}
    if not isinstance(value, BaseModel):
        return set()
    nested = {key for name in type(value).model_fields for key in unknown_keys(getattr(value, name))}
    return nested | set(value.model_extra or {})


def wait_for(found: Callable[[], T | None], *, within_s: float = 20) -> T:
    """Poll until something is there; a test that has to wait for another process has no other way."""
    deadline = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value


def training_rows(count: int = 12, *, start: int = 0) -> bytes:
    """Rows of a training file: question and answer."""
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"What is {number} and one?"},
                {"role": "assistant", "content": str(number + 1)},
            ]
        }
        for number in range(start, start + count)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def preference_rows(count: int = 12) -> bytes:
    """Rows of a training file for DPO."""
    rows = [
        {
            "input": {"messages": [{"role": "user", "content": f"What is {number} and one?"}]},
            "preferred_output": [{"role": "assistant", "content": str(number + 1)}],
            "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
        }
        for number in range(count)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def trainer_setup(*, command: tuple[str, ...] = TRAINER, grace_s: float = 5.0) -> TrainerSetup:
    return TrainerSetup(
        command=command, weights=Path("weights.gguf"), threads=1, grace_s=grace_s, poll_s=0.01
    )


@contextmanager
def running_server(
    state: Path,
    *,
    engine: EchoEngine | None = None,
    trainer: TrainerSetup | None = None,
    api_key: str | None = None,
    max_upload_bytes: int = 2**20,
    training_closed: bool = False,
    base: ServedModel = BASE,
) -> Iterator[Server]:
    """Serve a state folder on a free loopback port, from a thread of its own."""
    chosen = engine or EchoEngine()
    store = open_store(state)
    app = create_app(
        store,
        base=base,
        engine=lambda: chosen,
        trainer=trainer or trainer_setup(),
        terms=Terms(api_key=api_key, max_upload_bytes=max_upload_bytes, training_closed=training_closed),
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(server_settings(app))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        wait_for(lambda: server.started or not thread.is_alive())
        running = Server(listener.getsockname(), chosen, api_key)
        with running.client:
            yield running
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
        store.close()
