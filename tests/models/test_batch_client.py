"""Files and batches of endpoints that answer something else than they should."""

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TypeVar

import pytest

from harness.errors import EndpointError
from harness.models.batch_client import SCANNED, BatchClient, LostReplyError, UnreachedError
from harness.records import Endpoint
from harness.testing import FaultyEndpoint

T = TypeVar("T")
KEY = "sk-secret-12345678"


class ScriptedRoutes(FaultyEndpoint):
    """Answers whatever is asked with one status and body; counts what it is asked."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._answer = (status, body.encode())

    def route(self, method: str, path: str, data: bytes) -> tuple[int, bytes] | None:
        self.asked.append(f"{method} {path.partition('?')[0]}")
        return self._answer


def put(server: FaultyEndpoint, act: Callable[[BatchClient], Awaitable[T]]) -> T:
    return at(Endpoint(label="there", base_url=server.base_url, api_key=KEY, max_retries=0), act)


def at(place: Endpoint, act: Callable[[BatchClient], Awaitable[T]]) -> T:
    async def run() -> T:
        client = BatchClient(place)
        try:
            return await act(client)
        finally:
            await client.close()

    return asyncio.run(run())


def refusal(message: str, *, code: str | None = None) -> str:
    return json.dumps({"error": {"message": message, "type": "x", "param": None, "code": code}})


def listed(names: Sequence[str]) -> str:
    batches = [
        {"id": f"batch_{name}", "status": "in_progress", "metadata": {"finetune_harness_batch": name}}
        for name in names
    ]
    return json.dumps({"object": "list", "data": batches, "has_more": True})


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_the_route_has_no_batches(status: int) -> None:
    with ScriptedRoutes(status, "") as server, pytest.raises(EndpointError, match="there has no Batch API"):
        put(server, lambda client: client.check())


def test_a_server_without_files_says_so_too(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"{}\n")
    with ScriptedRoutes(404, "") as server, pytest.raises(EndpointError, match="there has no Files API"):
        put(server, lambda client: client.upload(tmp_path / "in.jsonl"))


@pytest.mark.parametrize("status", [500, 503, 429])
def test_trouble_that_passes_is_told_from_trouble_that_stays(status: int) -> None:
    with ScriptedRoutes(status, refusal("later")) as server, pytest.raises(UnreachedError):
        put(server, lambda client: client.state("batch_1"))


def test_a_wrong_key_stays_and_is_not_shown() -> None:
    said = refusal(f"Incorrect API key provided: {KEY}")
    with ScriptedRoutes(401, said) as server, pytest.raises(EndpointError, match="key is missing") as caught:
        put(server, lambda client: client.check())
    assert not isinstance(caught.value, UnreachedError)
    assert KEY not in str(caught.value)


def test_what_the_client_logs_has_no_token_of_the_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedRoutes(200, listed([])) as server:
        url = f"{server.base_url}?token=planted-in-the-query"
        at(Endpoint(label="there", base_url=url, api_key=KEY), lambda client: client.check())
    assert "batches" in caplog.text
    assert "planted-in-the-query" not in caplog.text


def test_nobody_at_the_address_is_unreached() -> None:
    with FaultyEndpoint() as gone:
        pass
    with pytest.raises(UnreachedError, match="nothing answers at"):
        put(gone, lambda client: client.state("batch_1"))


def test_an_unknown_batch_is_none() -> None:
    with ScriptedRoutes(404, refusal("no such batch")) as server:
        assert put(server, lambda client: client.state("batch_1")) is None


@pytest.mark.parametrize(
    "body", ["<html>hello</html>", "[]", "{}", '{"id": 3}', '{"id": "b"}', '"text"', "null"]
)
def test_what_is_no_batch_is_told(body: str) -> None:
    with ScriptedRoutes(200, body) as server, pytest.raises(EndpointError, match="there"):
        put(server, lambda client: client.state("batch_1"))


def test_odd_fields_of_a_batch_harm_nobody() -> None:
    odd = {
        "id": "b",
        "status": "in_progress",
        "metadata": [],
        "request_counts": {"total": "3", "completed": -1},
        "errors": {"data": [None, {"code": 3, "line": "x", "message": f"bad\n{KEY}"}]},
        "output_file_id": 7,
    }
    with ScriptedRoutes(200, json.dumps(odd)) as server:
        state = put(server, lambda client: client.state("b"))
    assert state is not None
    assert (state.total, state.done, state.output_file, state.name) == (0, 0, None, "")
    assert [(fault.code, fault.line) for fault in state.faults] == [("", None), ("3", None)]
    assert KEY not in state.faults[1].message


def create(client: BatchClient) -> Awaitable[object]:
    return client.create("file-1", name="n", run="r")


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, "{}"), (503, "<html>"), (408, "{}"), (429, refusal("slow down"))],
)
def test_a_creation_that_may_have_happened_is_asked_for_once(status: int, body: str) -> None:
    with ScriptedRoutes(status, body) as server:
        with pytest.raises(LostReplyError):
            put(server, create)
        assert server.asked == ["POST /v1/batches"]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, refusal("the file has expired"), "the file has expired"),
        (429, refusal("no money", code="insufficient_quota"), "out of quota"),
    ],
)
def test_a_creation_that_is_refused_did_not_happen(status: int, body: str, words: str) -> None:
    with ScriptedRoutes(status, body) as server, pytest.raises(EndpointError, match=words):
        put(server, create)


def test_a_batch_is_looked_for_among_the_newest_only() -> None:
    with ScriptedRoutes(200, listed([str(number) for number in range(100)])) as server:
        found = put(server, lambda client: client.find("7"))
        assert found is not None
        assert found.id == "batch_7"
        assert len(server.asked) == 1
        assert put(server, lambda client: client.find("elsewhere")) is None
        assert len(server.asked) - 1 <= SCANNED / 100 + 1


class HalfSending(BaseHTTPRequestHandler):
    """Promises ten bytes and sends five, but for the third time."""

    def do_GET(self) -> None:
        server = self.server
        server.asked = getattr(server, "asked", 0) + 1  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-length", "10")
        self.end_headers()
        self.wfile.write(b"0123456789"[: 10 if server.asked == 3 else 5])  # type: ignore[attr-defined]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
        """Say nothing."""


def test_a_download_that_breaks_off_is_begun_again(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), HalfSending) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        place = Endpoint(label="there", base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key=KEY)
        try:
            assert at(place, lambda client: client.fetch("file-1", to=tmp_path / "out"))
        finally:
            server.shutdown()
            thread.join()
    assert (tmp_path / "out").read_bytes() == b"0123456789"


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with ScriptedRoutes(404, refusal("No such File object")) as server:
        assert not put(server, lambda client: client.fetch("file-1", to=tmp_path / "out"))


def test_a_download_from_nobody_ends(tmp_path: Path) -> None:
    with FaultyEndpoint() as gone:
        pass
    with pytest.raises(EndpointError, match="broke off 3 times"):
        put(gone, lambda client: client.fetch("file-1", to=tmp_path / "out"))
