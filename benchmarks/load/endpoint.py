"""An endpoint that answers at once, or after a fixed delay: a chat-completions server on plain asyncio streams.

    python benchmarks/load/endpoint.py [--delay-ms 0]

Prints its base URL on one line and serves until its standard input ends. It does as little as HTTP allows, so that what a benchmark measures is
the client: the answer to a prompt is its last word, the usage is made up from lengths.
"""

import argparse
import asyncio
import json
import sys
import time


def answered(body: bytes) -> bytes:
    """A chat completion for a request's body."""
    asked = json.loads(body)
    prompt = str(asked["messages"][-1]["content"])
    said = prompt.rsplit(None, 1)[-1]
    return json.dumps(
        {
            "id": "chatcmpl-0",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": asked["model"],
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
            ],
            "usage": {
                "prompt_tokens": len(prompt) // 4,
                "completion_tokens": 1,
                "total_tokens": len(prompt) // 4 + 1,
            },
        }
    ).encode()


class Endpoint(asyncio.Protocol):
    """One connection; requests on it are answered in order."""

    delay_s = 0.0

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (head := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = 0
            for line in self._buffer[:head].split(b"\r\n"):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            end = head + 4 + length
            if len(self._buffer) < end:
                return
            body, self._buffer = self._buffer[head + 4 : end], self._buffer[end:]
            if self.delay_s:
                asyncio.get_running_loop().call_later(self.delay_s, self._answer, body)
            else:
                self._answer(body)

    def _answer(self, body: bytes) -> None:
        assert self._transport is not None
        if not body:
            self._transport.write(
                b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
            )
            return
        text = answered(body)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        self._transport.write(head.encode() + text)


async def serve(delay_s: float) -> None:
    """Serve on a free loopback port until standard input ends."""
    Endpoint.delay_s = delay_s
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Endpoint, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--delay-ms", type=float, default=0)
    asyncio.run(serve(parser.parse_args().delay_ms / 1000))
