"""What a connection may do before there is a request: how long its headers may take, and what it is told when they are no HTTP."""

import asyncio

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from harness.localserver.api.edge import new_request_id
from harness.localserver.api.wire import ApiError

# From the first byte of a connection, or of its next request, to the end of the headers.
HEADERS_PATIENCE_S = 30.0
# Longer than OpenAI's clients keep a connection nobody uses (5 s): the side that speaks next must not be the one that finds
# it closed, and a job's creation is not repeated by itself.
KEEP_ALIVE_S = 30
# How long what is still coming is read after an answer that ends the connection: closed at once, the answer would be lost.
LINGER_S = 1.0
# How long open requests may still take when the server is told to stop.
DRAIN_S = 2


def server_settings(app: ASGIApp) -> uvicorn.Config:
    """How the application is served: no logs of requests, no WebSockets, OpenAI's envelope also for what is not HTTP."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        log_level="error",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )


class Connection(H11Protocol):
    """A connection whose headers come in time; uvicorn knows no limit for them."""

    patience_s = HEADERS_PATIENCE_S
    _timer: asyncio.TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._refused:
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for a request that has begun to come already; uvicorn waits for one that has not."""
        super().on_response_complete()
        if self.conn.trailing_data[0]:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._unwatch()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Say that this is no HTTP, and close."""
        self._refuse(ApiError(msg))

    def _watch(self) -> None:
        """Let the time run while headers are expected; more bytes of the same headers do not start it anew."""
        if self._refused:
            return
        if self.conn.their_state is not h11.IDLE:
            self._unwatch()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.patience_s, self._too_late)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._refuse(
            ApiError("The headers of the request did not arrive in time.", status=408, code="request_timeout")
        )

    def _refuse(self, error: ApiError) -> None:
        self._unwatch()
        self._refused = True
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:  # another answer is on its way
            self.transport.close()
            return
        answer = error.response({"x-request-id": new_request_id(), "connection": "close"})
        head = h11.Response(status_code=answer.status_code, headers=answer.raw_headers)
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.write_eof()
        self.transport.resume_reading()
        self._timer = self.loop.call_later(LINGER_S, self.transport.close)
