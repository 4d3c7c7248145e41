"""The outermost layer of the application: who may ask, which id a request bears, and that errors stay inside."""

import hmac
import logging
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.localserver.api.wire import ApiError

_log = logging.getLogger(__name__)


class Edge:
    """Stamps `x-request-id`, checks the key, and lets no error out: what nobody expected goes to the log."""

    def __init__(self, app: ASGIApp, *, api_key: str | None) -> None:
        self._app = app
        self._api_key = api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{secrets.token_hex(16)}"

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            _admit(Headers(scope=scope), self._api_key)
            await self._app(scope, receive, stamped)
        except ApiError as error:
            await error.response()(scope, receive, stamped)
        except ClientDisconnect:
            _log.info("%s: the client went away", request_id)
        except Exception:  # noqa: BLE001 - the edge of a request: the client has its 500, the server lives on
            _log.exception("%s: %s %s", request_id, scope["method"], scope["path"])


def _admit(headers: Headers, api_key: str | None) -> None:
    if api_key is None:
        # A web page somebody has open can send requests to a server on the same machine. Without a key
        # nothing else would tell it from the user; command lines and clients send no Origin.
        if "origin" in headers:
            raise ApiError("Requests from web pages are not served without an API key.", status=403)
        return
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise ApiError(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using "
            "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            status=401,
        )
    if not hmac.compare_digest(given.encode("latin-1"), api_key.encode()):
        raise ApiError("Incorrect API key provided.", status=401, code="invalid_api_key")
