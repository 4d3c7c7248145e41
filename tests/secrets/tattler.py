"""An endpoint that repeats whatever it was sent, secrets too, in every kind of trouble."""

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TROUBLES = ("401", "500", "told", "malformed")


class Tattler:
    """Answers sums, and for a model called after one of TROUBLES tells on its caller in that way."""

    def __init__(self) -> None:
        self.heard = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> "Tattler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return self._server.server_port


def _trouble(body: bytes, path: str) -> str:
    """Which trouble a request asks for: by its model, or, where it has none, by the job or file in its path."""
    try:
        model = json.loads(body).get("model")
    except ValueError:
        model = None
    return next((kind for kind in TROUBLES if kind == model or f"/{kind}" in path), "" if model else "500")


def _handler_of(tattler: Tattler) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_DELETE(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

        def _answer(self, body: bytes) -> None:
            told = f"{self.command} {self.path} {json.dumps(dict(self.headers))} {dict(self.headers)!r}"
            tattler.heard += told
            kind = _trouble(body, self.path)
            if kind == "malformed":
                self._send(200, f"<html>{told}</html>".encode())
            elif kind in {"told", ""}:
                text = told if kind else "4"
                self._send(200, json.dumps(_completion(text)).encode())
            else:
                error = {"message": f"you sent {told}", "type": told, "param": told, "code": told}
                self._send(int(kind), json.dumps({"error": error}).encode())

        def _send(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
            """Say nothing."""

    return Handler


def _completion(text: str) -> Mapping[str, object]:
    return {
        "id": "x",
        "object": "chat.completion",
        "model": text,
        "system_fingerprint": text,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
