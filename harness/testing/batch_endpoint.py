"""A chat endpoint with a Batch API, for tests: files, batches, and the trouble they can have, on a loopback port."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

from harness.records import Json, record
from harness.testing.endpoints import Answers, Fault, FaultyEndpoint, Script

# The key under which requests of batches are remembered.
_BATCH = "batch"

Lines: TypeAlias = Callable[[list[dict[str, Json]]], Iterable[Mapping[str, Json] | str]]
"""From the lines of an output, in the order of the input, to those that are written; text is written as it is."""


@record
class BatchTrouble:
    """What happens to one batch.

    Args:
        status: What it ends as: `completed`, `failed`, `expired`, `cancelled`, or `in_progress` for ever.
        answered: How many of its requests are answered before it ends; all, by default.
        faults: What is wrong with it: `{code, message, line}`, of a batch that failed.
        lines: What becomes of the lines of its output.
        polls: How often it is said to be in progress first.
        gone: The output is not there when it is asked for.
        lost_reply: The creation is answered by a dropped connection, although there is the batch.
    """

    status: str = "completed"
    answered: int | None = None
    faults: Sequence[Mapping[str, Json]] = ()
    lines: Lines | None = None
    polls: int = 0
    gone: bool = False
    lost_reply: bool = False


class BatchEndpoint(FaultyEndpoint):
    """A FaultyEndpoint that also takes files and batches; a request of a batch gets what it would get by itself.

    Args:
        answers: As of a FaultyEndpoint.
        faults: Trouble for single requests, in batches or not.
        troubles: Trouble for batches, in the order of their creation; those after the last have none.
        most_queued: Requests that a batch may have; one with more fails as OpenAI's does at a full queue.
        upload: Trouble for every upload.

    Attributes:
        inputs: The lines of each batch, in the order of creation.
        batches: The batches as they are told of, by id.
    """

    def __init__(
        self,
        answers: Answers = "ok",
        *,
        faults: Script = (),
        troubles: Iterable[BatchTrouble] = (),
        most_queued: int | None = None,
        upload: Fault | None = None,
    ) -> None:
        super().__init__(answers, faults=faults)
        self.inputs: list[list[dict[str, Json]]] = []
        self.batches: dict[str, dict[str, Json]] = {}
        self._files: dict[str, bytes] = {}
        self._troubles = iter(troubles)
        self._trouble_of: dict[str, BatchTrouble] = {}
        self._most_queued = most_queued
        self._upload = upload

    @property
    def single(self) -> int:
        """How many requests came by themselves."""
        return sum(key != _BATCH for key in self.keys)

    @property
    def batched(self) -> int:
        """How many requests came in batches."""
        return sum(map(len, self.inputs))

    def route(self, method: str, path: str, data: bytes) -> tuple[int, bytes] | None:
        """Files and batches."""
        parts = urlsplit(path).path.removeprefix("/v1").strip("/").split("/")
        match (method, *parts):
            case ("POST", "files"):
                return self._uploaded(data)
            case ("GET", "files", file, "content"):
                return self._content(file)
            case ("POST", "batches"):
                return self._created(json.loads(data))
            case ("GET", "batches"):
                return self._listed(parse_qs(urlsplit(path).query))
            case ("GET", "batches", batch) if batch in self.batches:
                return _json(self._looked_at(batch))
            case ("POST", "batches", batch, "cancel") if batch in self.batches:
                self._end(batch, BatchTrouble(status="cancelled", answered=0))
                return _json(self.batches[batch])
            case (_, "files" | "batches", *_):
                return _error(404, f"there is no {path}")
        return None

    # --- files ---

    def _uploaded(self, data: bytes) -> tuple[int, bytes]:
        if self._upload is not None:
            return _error(self._upload.status, self._upload.message, code=self._upload.code)
        return _json({"id": self._keep(_file_of(data)), "object": "file", "purpose": "batch"})

    def _keep(self, content: bytes) -> str:
        file = f"file-{len(self._files)}"
        self._files[file] = content
        return file

    def _content(self, file: str) -> tuple[int, bytes]:
        if file not in self._files:
            return _error(404, f"No such File object: {file}")
        return 200, self._files[file]

    # --- batches ---

    def _created(self, body: Mapping[str, Json]) -> tuple[int, bytes]:
        content = self._files.get(str(body["input_file_id"]), b"")
        self.inputs.append([json.loads(line) for line in content.splitlines()])
        name = f"batch_{len(self.inputs)}"
        trouble = next(self._troubles, BatchTrouble())
        if self._most_queued is not None and len(self.inputs[-1]) > self._most_queued:
            full = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": None}
            trouble = BatchTrouble(status="failed", faults=(full,))
        self._trouble_of[name] = trouble
        total = len(self.inputs[-1])
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": body["endpoint"],
            "input_file_id": body["input_file_id"],
            "completion_window": body["completion_window"],
            "status": "validating",
            "created_at": 0,
            "metadata": body.get("metadata"),
            "request_counts": {"total": total, "completed": 0, "failed": 0},
            "polls": 0,
        }
        if trouble.lost_reply:
            return _error(503, "the reply is lost")
        return _json(self.batches[name])

    def _listed(self, query: Mapping[str, list[str]]) -> tuple[int, bytes]:
        newest_first = list(reversed(self.batches.values()))
        ids = [batch["id"] for batch in newest_first]
        after = query.get("after", [""])[0]
        start = ids.index(after) + 1 if after in ids else 0
        limit = int(query.get("limit", ["20"])[0])
        page = newest_first[start : start + limit]
        return _json({"object": "list", "data": page, "has_more": start + limit < len(ids)})

    def _looked_at(self, name: str) -> Mapping[str, Json]:
        batch, trouble = self.batches[name], self._trouble_of[name]
        if batch["status"] in {"validating", "in_progress"}:
            batch["polls"] = int(str(batch["polls"])) + 1
            if int(str(batch["polls"])) <= trouble.polls or trouble.status == "in_progress":
                batch["status"] = "in_progress"
            else:
                self._end(name, trouble)
        return batch

    def finish(self) -> None:
        """End every batch that is under way, as one without trouble."""
        for name, batch in self.batches.items():
            if batch["status"] in {"validating", "in_progress"}:
                self._trouble_of[name] = BatchTrouble()

    def _end(self, name: str, trouble: BatchTrouble) -> None:
        batch, requests = self.batches[name], self.inputs[int(name.removeprefix("batch_")) - 1]
        batch["status"] = trouble.status
        if trouble.status == "failed":
            batch["errors"] = {"object": "list", "data": [dict(fault) for fault in trouble.faults]}
            return
        asked = requests[: trouble.answered]
        lines = [self._line(request) for request in asked]
        good = [line for line in lines if _status(line) == 200]
        bad = [line for line in lines if _status(line) != 200]
        bad += [_unasked(request, trouble.status) for request in requests[len(asked) :]]
        batch["output_file_id"] = self._file(trouble.lines(good) if trouble.lines else good)
        batch["error_file_id"] = self._file(bad)
        batch["request_counts"] = {
            "total": len(requests),
            "completed": len(good),
            "failed": len(lines) - len(good),
        }
        if trouble.gone:
            batch["output_file_id"] = "file-gone"

    def _line(self, request: Mapping[str, Json]) -> dict[str, Json]:
        body = request["body"]
        assert isinstance(body, dict)
        status, answer = self.answer(body, _BATCH)
        response = {"status_code": status, "request_id": "req", "body": answer}
        return {"id": "batch_req", "custom_id": request["custom_id"], "response": response, "error": None}

    def _file(self, lines: Iterable[Mapping[str, Json] | str]) -> str | None:
        texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
        return self._keep("".join(f"{text}\n" for text in texts).encode()) if texts else None


def _status(line: Mapping[str, Json]) -> Json:
    response = line["response"]
    return response.get("status_code") if isinstance(response, dict) else None


def _unasked(request: Mapping[str, Json], status: str) -> dict[str, Json]:
    error = {"code": f"batch_{status}", "message": f"This request was not asked: {status}."}
    return {"id": "batch_req", "custom_id": request["custom_id"], "response": None, "error": error}


def _file_of(data: bytes) -> bytes:
    """The content of the file in a multipart form."""
    boundary = data.split(b"\r\n", 1)[0]
    for part in data.split(boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if b"filename=" in head:
            return content.removesuffix(b"\r\n")
    return b""


def _json(data: Mapping[str, Json]) -> tuple[int, bytes]:
    return 200, json.dumps(data).encode()


def _error(status: int, message: str, *, code: str | None = None) -> tuple[int, bytes]:
    error = {"message": message, "type": "scripted", "param": None, "code": code}
    return status, json.dumps({"error": error}).encode()
