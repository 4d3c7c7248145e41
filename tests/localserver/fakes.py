"""A server with a real store, queue and socket, whose engine echoes and whose trainer only pretends."""

import asyncio
import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from openai import OpenAI
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from harness.localserver.api.connections import server_settings
from harness.localserver.api.routes import create_app
from harness.localserver.api.services import ServedModel, Terms
from harness.localserver.generation.requests import GenerationRequest, GenerationResult
from harness.localserver.jobs.trainer_process import TrainerSetup
from harness.localserver.state.store import open_store

T = TypeVar("T")

BASE = ServedModel(name="tiny-base", created_at=1_700_000_000, digest="d" * 64, fingerprint="fp_0123456789")
TRAINER = (sys.executable, str(Path(__file__).with_name("fake_trainer.py")))


class EchoEngine:
    """Answers with the last message, the adapter's name before it; one word is one token, and 50 fit.

    With `together` it answers nothing before that many requests wait.
    """

    context_length = 50

    def __init__(self, *, together: int = 1, fails: bool = False) -> None:
        self.requests: list[GenerationRequest] = []
        self.closed = False
        self._together = together
        self._fails = fails
        self._waiting: list[tuple[GenerationRequest, Future[GenerationResult]]] = []

    def count_prompt_tokens(self, messages: Sequence[Mapping[str, str]]) -> int:
        return sum(len(message["content"].split()) for message in messages)

    def submit(self, request: GenerationRequest) -> "Future[GenerationResult]":
        future: Future[GenerationResult] = Future()
        self.requests.append(request)
        self._waiting.append((request, future))
        if len(self._waiting) >= self._together:
            for waiting, answer in self._waiting:
                self._answer(waiting, answer)
            self._waiting.clear()
        return future

    def close(self) -> None:
        self.closed = True

    def _answer(self, request: GenerationRequest, future: "Future[GenerationResult]") -> None:
        if self._fails:
            future.set_exception(RuntimeError("the engine broke"))
            return
        words = request.prompt[-1]["content"].split()
        said = [*([request.adapter.name] if request.adapter else []), *words[: request.max_tokens]]
        future.set_result(
            GenerationResult(
                text=" ".join(said),
                finish_reason="stop" if len(words) <= request.max_tokens else "length",
                prompt_tokens=self.count_prompt_tokens(request.prompt),
                completion_tokens=len(said),
            )
        )


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

    def wait(self, job: FineTuningJob, *until: str) -> FineTuningJob:
        """The job once it has one of these states, or has ended."""
        wanted = until or ("succeeded", "failed", "cancelled")

        def found() -> FineTuningJob | None:
            job_now = self.client.fine_tuning.jobs.retrieve(job.id)
            return job_now if job_now.status in wanted else None

        return wait_for(found)

    def events(self, job: FineTuningJob) -> list[FineTuningJobEvent]:
        """All events, oldest first."""
        return list(self.client.fine_tuning.jobs.list_events(job.id, limit=100))[::-1]


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
) -> Iterator[Server]:
    """Serve a state folder on a free loopback port, from a thread of its own."""
    chosen = engine or EchoEngine()
    store = open_store(state)
    app = create_app(
        store,
        base=BASE,
        engine=lambda: chosen,
        trainer=trainer or trainer_setup(),
        terms=Terms(api_key=api_key, max_upload_bytes=max_upload_bytes),
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
