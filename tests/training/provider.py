"""A scripted fine-tuning provider on a loopback port: no training, only the wire."""

import base64
import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Reply = tuple[int, object]
RESULT = (
    "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2.0,0.5,,\n2,1.0,0.6,1.5,0.55\n"
)


class Provider:
    """Jobs move one status on each time they are looked at.

    Args:
        statuses: What a job says from its creation on; the last one stays.
        error: The job's error once it has failed.
        metadata: `kept`, `dropped` without a word, or `refused` with a 400.
        filters: Whether listing honours the metadata filter.
        metrics: The data of the metrics events, the first of them told with the first `running`.
    """

    def __init__(
        self,
        *,
        statuses: Sequence[str] = ("validating_files", "running", "succeeded"),
        error: object = None,
        metadata: str = "kept",
        filters: bool = True,
        metrics: Sequence[Mapping[str, object]] = (),
    ) -> None:
        self.statuses, self.error, self.metadata, self.filters = statuses, error, metadata, filters
        self.metrics = list(metrics)
        self.refuse: dict[str, Reply] = {}  # by "METHOD /path", in place of the true reply
        self.lose: list[str] = []  # "METHOD /path" done as asked, once each, without an answer
        self.files: list[tuple[str, bytes]] = []
        self.gone: set[str] = set()  # ids of files that are deleted
        self.jobs: list[dict[str, Any]] = []
        self.created: list[dict[str, Any]] = []
        self.models: set[str] = set()
        self.asked: list[str] = []
        self.queries: list[str] = []
        self.keys: list[str] = []  # of the header that Azure's older routes have
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> "Provider":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    # --- routes ------------------------------------------------------------------------------------

    def reply(self, method: str, url: str, body: bytes) -> Reply:
        parts = urlsplit(url)
        path, query = unquote(parts.path).removeprefix("/v1"), parse_qs(parts.query)
        self.asked.append(f"{method} {path}")
        self.queries.append(parts.query)
        if (refusal := self.refuse.get(f"{method} {path}")) is not None:
            return refusal
        if path == "/files/result/content":
            return 200, base64.b64encode(RESULT.encode())
        if path.startswith("/files"):
            return self._file(method, path.removeprefix("/files").strip("/"), body)
        if path.startswith("/models"):
            return self._model(method, path.removeprefix("/models").strip("/"))
        if path == "/fine_tuning/jobs":
            return self._create(json.loads(body)) if method == "POST" else self._list(query)
        return self._job(path.removeprefix("/fine_tuning/jobs/"), query)

    def _file(self, method: str, name: str, body: bytes) -> Reply:
        if method == "POST":
            found = re.search(rb'filename="([^"]*)"', body)
            self.files.append((found[1].decode() if found else "", body))
            return 200, self._file_object(len(self.files))
        made = [self._file_object(n) for n in range(len(self.files), 0, -1)]
        kept = [file for file in made if file["id"] not in self.gone]
        if not name:
            return 200, {"object": "list", "data": kept, "has_more": False}
        return next(((200, file) for file in kept if file["id"] == name), missing("file"))

    def _file_object(self, number: int) -> dict[str, object]:
        name, body = self.files[number - 1]
        content = re.search(rb"filename=.*?\r\n\r\n(.*)\r\n--", body, re.DOTALL)
        return {
            "id": f"file-{number}",
            "object": "file",
            "filename": name,
            "bytes": len(content[1]) if content else 0,
            "created_at": int(time.time()),
            "status": "processed",
        }

    def _model(self, method: str, name: str) -> Reply:
        if not name:
            data = [{"id": model, "object": "model", "created": 1} for model in sorted(self.models)]
            return 200, {"object": "list", "data": data}
        if name not in self.models:
            return missing("model")
        if method == "DELETE":
            self.models.discard(name)
            return 200, {"id": name, "object": "model", "deleted": True}
        return 200, {"id": name, "object": "model"}

    def _create(self, body: dict[str, Any]) -> Reply:
        self.created.append(body)
        if "metadata" in body and self.metadata == "refused":
            return 400, {"error": {"message": "Unknown parameter: 'metadata'", "param": "metadata"}}
        job = {
            "id": f"ftjob-{len(self.jobs) + 1}",
            "object": "fine_tuning.job",
            "model": body["model"],
            "created_at": int(time.time()),
            "training_file": body.get("training_file"),
            "validation_file": body.get("validation_file"),
            "seed": body.get("seed"),
            "status": self.statuses[0],
            "looks": 0,
            "error": {},
            "metadata": body.get("metadata") if self.metadata == "kept" else None,
            "hyperparameters": {"n_epochs": 3, **body.get("hyperparameters", {})},
            "result_files": [],
        }
        self.jobs.insert(0, job)
        return 200, job

    def _list(self, query: Mapping[str, list[str]]) -> Reply:
        wanted = query.get("metadata[harness_digest]")
        jobs = [
            job
            for job in self.jobs
            if not (wanted and self.filters) or (job["metadata"] or {}).get("harness_digest") == wanted[0]
        ]
        return 200, page(jobs, query)

    def _job(self, rest: str, query: Mapping[str, list[str]]) -> Reply:
        name, _, what = rest.partition("/")
        job = next((job for job in self.jobs if job["id"] == name), None)
        if job is None:
            return missing("job")
        if what == "events":
            return 200, page(self._events(job), query)
        if what == "cancel":
            job["status"], self.statuses = "cancelled", ("cancelled",)
            return 200, job
        if what == "checkpoints":
            return 200, page([checkpoint(20), checkpoint(10)], query)
        job["looks"] = min(job["looks"] + 1, len(self.statuses) - 1)
        job["status"] = self.statuses[job["looks"]]
        if job["status"] == "succeeded":
            tuned = f"ft:{job['model']}:local::{name}"
            self.models.add(tuned)
            job.update(fine_tuned_model=tuned, trained_tokens=42, result_files=["result"])
        if job["status"] == "failed":
            job["error"] = self.error
        return 200, job

    def _events(self, job: Mapping[str, Any]) -> list[dict[str, object]]:
        events: list[dict[str, object]] = [event(0, f"Created fine-tuning job: {job['id']}")]
        if job["status"] in {"running", "succeeded"}:
            shown = self.metrics if job["status"] == "succeeded" else self.metrics[:-1]
            events += [event(10 * n, "Step", data) for n, data in enumerate(shown, start=1)]
        if job["status"] == "succeeded":
            events.append(event(999, "The job has successfully completed"))
        return events[::-1]


def event(at: int, message: str, data: Mapping[str, object] | None = None) -> dict[str, object]:
    return {
        "id": f"ftevent-{at}",
        "object": "fine_tuning.job.event",
        "created_at": 100 + at,
        "level": "info",
        "message": message,
        "type": "metrics" if data else "message",
        "data": data or {},
    }


def checkpoint(step: int) -> dict[str, object]:
    return {
        "id": f"ftckpt_{step}",
        "object": "fine_tuning.job.checkpoint",
        "fine_tuned_model_checkpoint": f"ft:m:local::x:ckpt-step-{step}",
        "step_number": step,
        "metrics": {"step": step, "full_valid_loss": 0.5, "train_loss": None},
    }


def missing(what: str) -> Reply:
    return 404, {"error": {"message": f"no such {what}", "code": f"{what}_not_found"}}


def page(items: Sequence[Mapping[str, object]], query: Mapping[str, list[str]]) -> dict[str, object]:
    """Two items a page whatever the limit, so that every list is paged."""
    after = query.get("after", [None])[0]
    start = 1 + next((n for n, item in enumerate(items) if item["id"] == after), -1)
    return {"object": "list", "data": items[start : start + 2], "has_more": start + 2 < len(items)}


def _handler_of(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: apart, the second waits 40 ms for an acknowledgement

        def do_GET(self) -> None:
            if key := self.headers.get("api-key"):
                provider.keys.append(key)
            status, reply = provider.reply(
                self.command, self.path, self.rfile.read(int(self.headers.get("content-length", 0)))
            )
            asked = f"{self.command} {unquote(urlsplit(self.path).path).removeprefix('/v1')}"
            if asked in provider.lose:
                provider.lose.remove(asked)
                self.close_connection = True
                return
            data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_DELETE = do_GET  # noqa: N815 - the names http.server looks for

        def log_message(self, *_: object) -> None: ...

    return Handler
