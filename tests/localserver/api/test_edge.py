"""Who may ask, and what the server says to what is no request."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from harness.localserver.api import edge
from harness.localserver.api.connections import Connection, server_settings
from harness.localserver.api.edge import Edge
from tests.localserver.api.exchanges import envelope, form
from tests.localserver.fakes import BASE, Server, running_server

CHAT = "/v1/chat/completions"
JOBS = "/v1/fine_tuning/jobs"
KEY = "s3cret-kéy"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a key."""
    with running_server(tmp_path_factory.mktemp("locked"), api_key="s3cret") as running:
        yield running


@contextlib.contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    host, _, port = server.host.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        yield connection


def said(server: Server, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """What the server answers to these bytes before it closes the connection."""
    with connected(server) as connection:
        connection.sendall(data)
        return taken_apart(connection.makefile("rb").read())


def taken_apart(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert status, "the connection was closed without an answer"
    return int(status.split()[1]), headers, body


def test_every_answer_bears_a_request_id_of_its_own(shared: Server) -> None:
    answers = [shared.ask("GET", path)[1] for path in ("/v1/models", "/v1/models", "/nowhere")]
    answers.append(said(shared, b"nonsense\r\n\r\n")[1])
    ids = [headers["x-request-id"] for headers in answers]
    assert all(request_id.startswith("req_") for request_id in ids)
    assert len(set(ids)) == 4


# --- keys ---


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic czNjcmV0", None),
        ("s3cret", None),
        ("Bearers3cret", None),
        ("Bearer wrong", "invalid_api_key"),
        ("Bearer s3cre", "invalid_api_key"),
        ("Bearer s3cret2", "invalid_api_key"),
        ("Bearer S3CRET", "invalid_api_key"),
        ("Bearer s3cret s3cret", "invalid_api_key"),
        ("Bearer \xff\xfe", "invalid_api_key"),
        ("Bearer " + "x" * 10_000, "invalid_api_key"),
    ],
)
def test_without_the_key_nothing_is_served(locked: Server, header: str | None, code: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    for method, path in (
        ("GET", "/nowhere"),
        ("GET", "/v1/models"),
        ("POST", CHAT),
        ("OPTIONS", "/v1/files"),
    ):
        status, _, body = locked.ask(method, path, headers=headers)
        assert (status, envelope(json.loads(body))["code"]) == (401, code)
        assert b"s3cret" not in body


@pytest.mark.parametrize("header", ["Bearer s3cret", "bearer s3cret", "BEARER s3cret", "Bearer  s3cret "])
def test_with_the_key_everything_is(locked: Server, header: str) -> None:
    anywhere = {"authorization": header, "host": "models.example.com", "origin": "https://example.com"}
    assert locked.ask("GET", "/v1/models", headers=anywhere)[0] == 200
    assert locked.client.models.list().data


def test_a_key_may_hold_any_letter(tmp_path: Path) -> None:
    with running_server(tmp_path, api_key=KEY) as server:
        sent = f"Bearer {KEY}".encode()
        request = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: %s\r\nconnection: close\r\n\r\n"
        assert said(server, request % sent)[0] == 200
        assert said(server, request % sent[:-1])[0] == 401


def test_keys_are_compared_in_constant_time(locked: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    real = edge.hmac.compare_digest
    monkeypatch.setattr(edge.hmac, "compare_digest", lambda *pair: bool(compared.append(pair)) or real(*pair))
    locked.ask("GET", "/v1/models", headers={"authorization": "Bearer wrong"})
    assert compared == [(b"wrong", b"s3cret")]


def test_a_refused_upload_is_told_so_all_the_same(locked: Server) -> None:
    """The client sends its whole body before it listens."""
    body, headers = form(('name="file"; filename="a.jsonl"', b"x" * 3_000_000))
    status, _, answer = locked.ask("POST", "/v1/files", body, headers | {"connection": "close"})
    assert status == 401
    envelope(json.loads(answer))


# --- web pages ---


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://example.com"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "same-origin"},
        {"host": "rebound.example.com"},
        {"host": "rebound.example.com:8000"},
        {"host": "localhost.example.com"},
        {"host": "127.0.0.1.example.com"},
        {"host": "example.com@127.0.0.1.nip.example"},
        {"host": "10.0.0.1"},
        {"host": "[::ffff:10.0.0.1]"},
        {"host": "[::1"},
        {"host": "0.0.0.0"},
        {"host": ""},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/models"), ("POST", JOBS), ("OPTIONS", CHAT)])
def test_without_a_key_no_web_page_is_served(
    shared: Server, method: str, path: str, headers: dict[str, str]
) -> None:
    status, answered, body = shared.ask(method, path, headers=headers)
    assert status == 403
    assert not {name for name in answered if name.lower().startswith("access-control")}
    envelope(json.loads(body))


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost"},
        {"host": "LOCALHOST:8000"},
        {"host": "127.0.0.1:8000"},
        {"host": "127.9.9.9"},
        {"host": "[::1]:8000"},
        {"sec-fetch-site": "none"},
    ],
)
def test_without_a_key_whoever_is_on_this_machine_is_served(shared: Server, headers: dict[str, str]) -> None:
    assert shared.ask("GET", "/v1/models", headers=headers)[0] == 200


def test_an_old_client_names_no_host(shared: Server) -> None:
    assert said(shared, b"GET /v1/models HTTP/1.0\r\n\r\n")[0] == 200


def test_options_is_no_method_here(shared: Server) -> None:
    status, headers, body = shared.ask("OPTIONS", "/v1/models")
    assert (status, envelope(json.loads(body))["code"]) == (405, "method_not_supported")
    assert headers["allow"] == "GET, HEAD" or headers["allow"] == "HEAD, GET"


# --- bodies ---


@pytest.mark.parametrize("path", [CHAT, JOBS])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b'"text"',
        b"\xff\xfe",
        b'{"model": NaN}',
        b'{"temperature": -Infinity}',
        b'{"model": "\0"}',
        b'{"model": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"model": "\xed\xa0\x80"}',
        '{"model": "x"}'.encode("utf-16"),
        '{"model": "\\ud800"}'.encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"seed": ' + b"9" * 5000 + b"}",
        b'{"model": "x"} {}',
    ],
)
def test_malformed_json_is_a_400(shared: Server, path: str, body: bytes) -> None:
    status, answer = shared.post(path, body)
    assert status == 400
    error = envelope(answer)
    assert error["type"] == "invalid_request_error"
    assert "sys." not in error["message"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_json_under_another_name_is_refused(shared: Server, kind: str) -> None:
    status, _, body = shared.ask("POST", CHAT, b"{}", {"content-type": kind})
    assert (status, envelope(json.loads(body))["code"]) == (400, "unsupported_content_type")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON", None]
)
def test_json_under_its_name_or_none_is_read(shared: Server, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    status, _, body = shared.ask("POST", CHAT, b"{}", headers)
    assert (status, envelope(json.loads(body))["code"]) == (400, "missing_required_parameter")


def test_of_a_key_that_stands_twice_the_last_counts(shared: Server) -> None:
    status, answer = shared.post(CHAT, b'{"model": "gpt-9", "model": 7, "messages": []}')
    assert (status, envelope(answer)["code"]) == (400, "invalid_type")


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b" \n\t"])
def test_a_byte_order_mark_and_blanks_are_no_mistake(shared: Server, mark: bytes) -> None:
    assert envelope(shared.post(CHAT, mark + b"{}")[1])["code"] == "missing_required_parameter"


@pytest.mark.parametrize("fill", [b" ", b"["])
def test_an_endless_body_is_cut_off(shared: Server, fill: bytes) -> None:
    status, answer = shared.post(CHAT, fill * (20 * 2**20))
    assert (status, envelope(answer)["code"]) == (413, "request_too_large")


def test_an_endless_prompt_is_a_400(shared: Server) -> None:
    messages = [{"role": "user", "content": "word " * 2_500_000}]
    status, answer = shared.post(CHAT, {"model": BASE.name, "messages": messages})
    assert (status, envelope(answer)["code"]) == (400, "context_length_exceeded")


def test_an_endless_chunked_body_is_cut_off(shared: Server) -> None:
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    chunk = b"%x\r\n%s\r\n" % (2**20, b" " * 2**20)
    status, _, body = said(shared, head.encode() + chunk * 17 + b"0\r\n\r\n")
    assert (status, envelope(json.loads(body))["code"]) == (413, "request_too_large")


def test_a_chunked_body_is_read(shared: Server) -> None:
    head = (
        f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    status, _, body = said(shared, head.encode() + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")
    assert (status, envelope(json.loads(body))["code"]) == (400, "missing_required_parameter")


def test_a_client_that_waits_for_the_word_is_refused_before_it_sends(shared: Server) -> None:
    request = (
        f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {2**40}\r\nexpect: 100-continue\r\n\r\n"
    )
    with connected(shared) as connection:
        connection.sendall(request.encode())
        status, headers, body = taken_apart(connection.makefile("rb").read())
    assert (status, envelope(json.loads(body))["code"]) == (413, "request_too_large")
    assert headers["connection"] == "close"


def test_a_client_that_waits_for_the_word_is_given_it(shared: Server) -> None:
    request = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
    with connected(shared) as connection:
        connection.sendall(request.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


# --- what is no HTTP ---


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a client that speaks TLS
        b"GET\r\n\r\n",
        b"GET /v1/models\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nno colon\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        *[
            b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\n" + line + b"\r\n\r\n{}"
            for line in (
                b"content-length: -1",
                b"content-length: 1e3",
                b"content-length: 2, 3",
                b"content-length: " + b"9" * 30,
                b"content-length: 2\r\ncontent-length: 3",
                b"transfer-encoding: gzip",
                b"transfer-encoding: chunked\r\n\r\nzz",
            )
        ],
    ],
)
def test_what_is_no_http_is_refused_in_openais_envelope(shared: Server, data: bytes) -> None:
    status, headers, body = said(shared, data)
    assert status == 400
    assert headers["content-type"] == "application/json"
    assert envelope(json.loads(body))["type"] == "invalid_request_error"
    assert shared.get("/v1/models")[0] == 200


@pytest.mark.parametrize(
    "target",
    [
        "/v1/models/%2e%2e%2f%2e%2e%2fschema.json",
        "/v1/models/..%5c..%5clock",
        "/v1/models/%00",
        "/v1/models/%ff%fe",
        "/v1/models/" + "x" * 5000,
        "/v1/models/ft:%0d%0aset-cookie:x",
        "/v1/files/%252e%252e%252flock",
        "/v1/files/../../lock",
        "/v1/files/....//lock/content",
        "/v1/files/file-%2e%2e/content",
        "/v1/files/~root/content",
        f"{JOBS}/..%2f..%2fschema.json/events",
        f"{JOBS}/../../../etc/passwd",
        "/../../etc/passwd",
        "//etc/passwd",
        "http://example.com/v1/models",
        "*",
    ],
)
def test_no_path_leads_out_of_the_api(shared: Server, target: str) -> None:
    status, headers, body = said(
        shared, f"GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
    )
    assert status == 404
    assert "set-cookie" not in headers
    envelope(json.loads(body))


@pytest.mark.parametrize(
    "value", ["../../schema.json", "/etc/passwd", "..\\lock", "a\0b", "file-\ud7ff", "x" * 10_000]
)
def test_no_name_in_a_body_leads_to_a_file(shared: Server, value: str) -> None:
    file = shared.upload(b"{}")
    messages = [{"role": "user", "content": "x"}]
    for path, body, statuses in [
        (CHAT, {"model": value, "messages": messages}, {404}),
        (JOBS, {"model": value, "training_file": file.id}, {400, 404}),
        (JOBS, {"model": BASE.name, "training_file": value}, {400, 404}),
        (JOBS, {"model": BASE.name, "training_file": file.id, "validation_file": value}, {400, 404}),
    ]:
        status, answer = shared.post(path, body)
        assert status in statuses
        assert "No such file" not in envelope(answer)["message"]


# --- slow ones ---


class Impatient(Connection):
    patience_s = 0.05


@contextlib.contextmanager
def impatient_server() -> Iterator[str]:
    """A server that answers `done` to anybody whose headers come within 50 ms."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("done")(scope, receive, send)

    settings = server_settings(Edge(app, api_key=None))
    assert settings.http is Connection
    settings.http, settings.lifespan = Impatient, "off"
    with running(settings) as address:
        yield address


@contextlib.contextmanager
def running(settings: uvicorn.Config) -> Iterator[str]:
    import threading

    server = uvicorn.Server(settings)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield "{}:{}".format(*listener.getsockname())
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nhost: loc", b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\nGET"]
)
def test_headers_that_do_not_come_end_the_connection(sent: bytes) -> None:
    with impatient_server() as address:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(sent)
            answer = connection.makefile("rb").read()
    *_, last = answer.split(b"HTTP/1.1 ")
    assert last.startswith(b"408 ")
    assert envelope(json.loads(last.partition(b"\r\n\r\n")[2]))["code"] == "request_timeout"
    assert (b"done" in answer) == sent.endswith(b"GET")


def test_a_drop_now_and_then_does_not_help() -> None:
    with impatient_server() as address:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=0.01) as connection:
            answer = b""
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for letter in b"GET / HTTP/1.1\r\n" + b"x" * 500:
                    connection.sendall(bytes([letter]))
                    with contextlib.suppress(TimeoutError):
                        answer += connection.recv(1000)
                    if answer:
                        break
    assert answer.startswith(b"HTTP/1.1 408 ")


class Body:
    """Hands out pieces of a body, and then nothing any more."""

    def __init__(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        self._pieces = list(pieces)
        self._pause_s = pause_s

    async def receive(self) -> Message:
        if not self._pieces:
            await asyncio.Event().wait()
        await asyncio.sleep(self._pause_s)
        return {"type": "http.request", "body": self._pieces.pop(0), "more_body": True}


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass


async def ignoring(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("done")(scope, receive, send)


def answered(app: Any, body: Body) -> list[Message]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"content-length", b"1000000"), (b"host", b"localhost")],
    }
    asyncio.run(Edge(app, api_key=None, patience_s=0.05)(scope, body.receive, send))
    return messages


@pytest.mark.parametrize("body", [Body(), Body(b"{"), Body(*[b"x"] * 1000, pause_s=0.01)])
def test_a_body_that_does_not_come_in_time_is_a_408(body: Body) -> None:
    start, content = answered(reading, body)
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert envelope(json.loads(content["body"]))["code"] == "request_timeout"


def test_a_body_that_comes_steadily_may_take_longer() -> None:
    steady = Body(*[b"x" * 100] * 10, b"", pause_s=0.01)
    start, _ = answered(reading, steady)
    assert start["status"] == 408
    assert not steady._pieces


def test_a_body_nobody_needs_holds_up_no_answer_for_long() -> None:
    start, content = answered(ignoring, Body(b"x"))
    assert (start["status"], content["body"]) == (200, b"done")
    assert (b"connection", b"close") in start["headers"]
