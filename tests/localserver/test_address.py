import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.localserver import remove_address, running_server, write_address
from harness.localserver.address import ADDRESS


class Models(BaseHTTPRequestHandler):
    """A list of models, as a server with or without a key gives it."""

    reply = (200, '{"data": [{"id": "tiny"}]}')

    def do_GET(self) -> None:
        status, text = self.reply
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Models)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield {"base_url": f"http://127.0.0.1:{server.server_port}/v1", "model": "tiny", "weights": "w"}
    server.shutdown()
    server.server_close()
    thread.join()


def test_server_of_a_folder_is_found_while_it_answers(tmp_path: Path, ready: dict[str, object]) -> None:
    assert running_server(tmp_path) is None
    write_address(tmp_path, ready, lasting=True)
    found = running_server(tmp_path)
    assert found is not None
    assert (found.base_url, found.model, found.lasting, found.keyed) == (
        ready["base_url"],
        "tiny",
        True,
        False,
    )
    remove_address(tmp_path, base_url=str(ready["base_url"]))
    assert running_server(tmp_path) is None


def test_server_that_was_killed_is_not_taken_for_running(tmp_path: Path) -> None:
    write_address(tmp_path, {"base_url": "http://127.0.0.1:9/v1", "model": "m", "weights": "w"}, lasting=True)
    assert running_server(tmp_path) is None


def test_port_that_another_program_has_now_is_not_joined(tmp_path: Path, ready: dict[str, object]) -> None:
    write_address(tmp_path, {**ready, "model": "another"}, lasting=True)
    assert running_server(tmp_path) is None


def test_server_with_a_key_is_known_by_its_refusal(
    tmp_path: Path, ready: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_address(tmp_path, ready, lasting=True, keyed=True)
    assert running_server(tmp_path) is None
    monkeypatch.setattr(Models, "reply", (401, "{}"))
    found = running_server(tmp_path)
    assert found is not None
    assert found.keyed


def test_address_of_a_later_server_stays(tmp_path: Path, ready: dict[str, object]) -> None:
    write_address(tmp_path, ready, lasting=False)
    remove_address(tmp_path, base_url="http://127.0.0.1:1/v1")
    assert running_server(tmp_path) is not None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"base_url": "nonsense", "model": "m"}', "\x00"])
def test_damaged_address_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / ADDRESS).write_text(text)
    assert running_server(tmp_path) is None


@pytest.mark.parametrize("url", ["nonsense", "http://[::1", "http://127.0.0.1:x/v1", "ftp://x"])
def test_address_that_is_no_url_is_none(tmp_path: Path, url: str) -> None:
    fields = {"base_url": url, "model": "m", "weights": "w", "lasting": True, "keyed": False}
    (tmp_path / ADDRESS).write_text(json.dumps(fields))
    assert running_server(tmp_path) is None
