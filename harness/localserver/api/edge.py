"""The outermost layer of the application: who may ask, how long a body may take, and that errors stay inside.

Without a key the server listens on the loopback interface only, which keeps other machines out but not the web pages that are
open on this one. They are told from clients by what browsers add to their requests: `Origin`, `Sec-Fetch-Site`, and a `Host` that
is the page's own name when that name was pointed at this machine for the purpose (DNS rebinding).
"""

import asyncio
import hmac
import ipaddress
import logging
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.localserver.api.wire import ApiError

# A body may pause for this long, and take this long before the rate below counts.
BODY_PATIENCE_S = 60.0
# The slowest a body may come on the whole, in bytes a second: far below any line, far above one byte now and then.
BODY_MIN_RATE = 1000
# How much of a body that will not be used is read on: a client listens for the answer only once it has sent everything. Twice
# the largest upload, so that a file over the limit gets its 413 rather than a broken connection.
DRAINED_BYTES = 2**30

_log = logging.getLogger(__name__)


def new_request_id() -> str:
    """A fresh value of the header `x-request-id`."""
    return f"req_{secrets.token_hex(16)}"


class Edge:
    """Stamps `x-request-id`, checks the key, and lets no error out: what nobody expected goes to the log."""

    def __init__(self, app: ASGIApp, *, api_key: str | None, patience_s: float = BODY_PATIENCE_S) -> None:
        self._app = app
        self._api_key = api_key
        self._patience_s = patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        headers = Headers(scope=scope)
        body = _Body(receive, headers, patience_s=self._patience_s)

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["x-request-id"] = request_id
                if not await body.drained():
                    answer["connection"] = "close"
            await send(message)

        try:
            _admit(headers, self._api_key)
            await self._app(scope, body.receive, stamped)
        except ApiError as error:
            await error.response()(scope, body.receive, stamped)
        except ClientDisconnect:
            _log.info("%s: the client went away", request_id)
        except Exception:  # noqa: BLE001 - the edge of a request: the client has its 500, the server lives on
            _log.exception("%s: %s %s", request_id, scope["method"], scope["path"])


class _Body:
    """The body of a request as it arrives: not too slowly, and to its end before the answer begins."""

    def __init__(self, receive: Receive, headers: Headers, *, patience_s: float) -> None:
        self._receive = receive
        self._patience_s = patience_s
        self._deadline = asyncio.get_running_loop().time() + patience_s
        self._ended = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        self._stalled = False
        # Such a client sends nothing before it is told to, which the first look at the body does.
        self._awaits_word = headers.get("expect", "").lower() == "100-continue"

    async def receive(self) -> Message:
        """The next message of the connection.

        Raises:
            ApiError: 408, the body takes too long.
        """
        self._awaits_word = False
        if self._ended:  # what comes next is that the client goes away, whenever that is
            return await self._receive()
        left_s = self._deadline - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(self._receive(), max(0, min(self._patience_s, left_s)))
        except asyncio.TimeoutError:
            self._stalled = True
            raise ApiError(
                "The body of the request did not arrive in time.", status=408, code="request_timeout"
            ) from None
        self._deadline += len(message.get("body", b"")) / BODY_MIN_RATE
        self._ended = not message.get("more_body", False)
        return message

    async def drained(self) -> bool:
        """Read what is left of the body and forget it; whether it came to its end."""
        read = 0
        try:
            while not (self._ended or self._stalled or self._awaits_word) and read < DRAINED_BYTES:
                read += len((await self.receive()).get("body", b""))
        except ApiError:
            pass
        return self._ended


def _admit(headers: Headers, api_key: str | None) -> None:
    """Let a request in.

    Raises:
        ApiError: 401, it does not bear the key; 403, there is no key and it may come from a web page.
    """
    if api_key is None:
        _refuse_web_pages(headers)
        return
    scheme, _, given = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        raise ApiError(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using "
            "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            status=401,
        )
    if not hmac.compare_digest(given.strip().encode("latin-1"), api_key.encode()):
        raise ApiError("Incorrect API key provided.", status=401, code="invalid_api_key")


def _refuse_web_pages(headers: Headers) -> None:
    if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
        raise ApiError("Requests from web pages are not served without an API key.", status=403)
    host = headers.get("host")
    if host is not None and not _is_loopback(host):
        raise ApiError(
            f"A server without an API key is reached as localhost or 127.0.0.1, not as '{host[:80]}'. Use one of "
            "these names in the base URL, or start the server with a key.",
            status=403,
        )


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
