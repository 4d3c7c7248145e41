"""A scripted provider with one finished job: its checkpoints, its curve, and models that answer sums more or less well."""

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JOB, OWN = "ftjob-1", "ft:m:acme::own"
CURVE = (
    "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"
    "1,3.0,0.4,,\n2,1.0,0.5,1.5,0.55\n3,0.8,0.6,,\n4,0.6,0.7,1.2,0.6\n5,0.4,0.8,,\n6,0.2,0.9,1.8,0.6\n"
)


def checkpoint_name(step: int) -> str:
    """As OpenAI names them."""
    return f"ft:m:acme::c{step}:ckpt-step-{step}"


class JobProvider:
    """One job of three epochs and six steps, on a loopback port.

    Args:
        answer: What a model says to a prompt on a trial, which a seed of the request tells.
        steps: Of the checkpoints beside the job's own model.
        refuse: Replies by a piece of the path, in place of the true one: status and body.
    """

    def __init__(
        self,
        answer: Callable[[str, str], str],
        *,
        steps: Sequence[int] = (2, 4),
        refuse: Mapping[str, tuple[int, object]] | None = None,
    ) -> None:
        self.answer, self.steps, self.refuse = answer, steps, dict(refuse or {})
        self.bodies: list[dict[str, Any]] = []
        self.unserved: set[str] = set()
        self.denied: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> "JobProvider":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        """What the client is given."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def asked(self) -> list[str]:
        """The model of each answer that was asked for, in the order of arrival."""
        return [str(body["model"]) for body in self.bodies]

    def reply(self, path: str, body: bytes) -> tuple[int, object]:
        """What is sent back."""
        for piece, reply in self.refuse.items():
            if piece in path:
                return reply
        if path.endswith("/chat/completions"):
            return self._completion(json.loads(body))
        if path.endswith("/content"):
            return 200, CURVE
        if path.endswith("/checkpoints"):
            return 200, {
                "object": "list",
                "data": [self._checkpoint(step) for step in self.steps],
                "has_more": False,
            }
        if path.endswith(("/events", "/models")):
            return 200, {"object": "list", "data": [], "has_more": False}
        if path.endswith(f"/jobs/{JOB}"):
            return 200, _job()
        if re.search(r"/jobs$", path):
            return 200, {"object": "list", "data": [_job()], "has_more": False}
        return 404, {"error": {"message": f"no {path}", "type": "invalid_request_error", "code": None}}

    def _completion(self, asked: dict[str, Any]) -> tuple[int, object]:
        self.bodies.append(asked)
        model = asked["model"]
        if model in self.unserved:
            error = {"message": f"The model `{model}` does not exist", "code": "model_not_found"}
            return 404, {"error": {**error, "type": "invalid_request_error"}}
        if model in self.denied:
            return 401, {"error": {"message": "no such key", "code": "invalid_api_key", "type": "x"}}
        text = self.answer(model, asked["messages"][-1]["content"])
        return 200, {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
        }

    @staticmethod
    def _checkpoint(step: int) -> dict[str, object]:
        return {
            "object": "fine_tuning.job.checkpoint",
            "id": f"ftckpt_{step}",
            "created_at": step,
            "fine_tuned_model_checkpoint": checkpoint_name(step),
            "fine_tuning_job_id": JOB,
            "step_number": step,
            "metrics": {"step": step},
        }


def _job() -> dict[str, object]:
    return {
        "object": "fine_tuning.job",
        "id": JOB,
        "model": "m",
        "status": "succeeded",
        "created_at": 1,
        "finished_at": 2,
        "fine_tuned_model": OWN,
        "hyperparameters": {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1},
        "result_files": ["file-1"],
        "trained_tokens": 100,
        "training_file": "file-0",
        "validation_file": None,
        "organization_id": "acme",
        "seed": 0,
        "error": None,
    }


def _handler_of(provider: JobProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(*provider.reply(self.path.partition("?")[0], b""))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            self._send(*provider.reply(self.path.partition("?")[0], body))

        def _send(self, status: int, reply: object) -> None:
            data = reply.encode() if isinstance(reply, str) else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("content-type", "text/csv" if isinstance(reply, str) else "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    return Handler
