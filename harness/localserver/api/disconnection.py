"""What happens to a request whose client goes away: the work for it ends."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

_T = TypeVar("_T")


async def unless_gone(request: Request, work: Coroutine[None, None, _T]) -> _T:
    """The result of `work`, which is cancelled when the client goes away first. The body must have been read.

    Raises:
        ClientDisconnect: The client is gone.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        leaving.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait((working,))
