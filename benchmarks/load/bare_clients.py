"""The same calls by clients that do nothing else: what a harness is measured against.

    python benchmarks/load/bare_clients.py CLIENT BASE_URL [--calls 2000] [--concurrency 32]

CLIENT is `official` (AsyncOpenAI), `official-aiohttp` (the same with its aiohttp transport) or `aiohttp`. Prints a line of JSON: seconds for the
calls by the clock and of the processor, and for the whole process with its imports.
"""

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402 - the clock starts before anything is imported
import asyncio  # noqa: E402
import json  # noqa: E402
from collections.abc import Awaitable, Callable  # noqa: E402

PROMPT = "Which queue takes this message? Answer with one word. Message {}: I want my money back. billing"


def body(number: int) -> dict[str, object]:
    """One request: no two are alike, as in a suite."""
    model = "base" if number % 2 else "candidate"
    messages = [
        {"role": "system", "content": "Route the ticket."},
        {"role": "user", "content": PROMPT.format(number)},
    ]
    return {"model": model, "messages": messages, "temperature": 0, "max_tokens": 16}


async def all_of(
    ask: Callable[[int], Awaitable[object]], *, calls: int, concurrency: int
) -> tuple[float, float]:
    """Ask them all, so many at once; seconds by the clock, and of the processor."""
    limit = asyncio.Semaphore(concurrency)

    async def one(number: int) -> None:
        async with limit:
            await ask(number)

    started, worked = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one(number) for number in range(calls)))
    return time.perf_counter() - started, time.process_time() - worked


async def official(base_url: str, *, calls: int, concurrency: int, aiohttp: bool) -> tuple[float, float]:
    """The official client, with its own transport or with aiohttp's."""
    from openai import AsyncOpenAI, DefaultAioHttpClient  # noqa: PLC0415 - a process imports its own client only

    http_client = DefaultAioHttpClient() if aiohttp else None
    async with AsyncOpenAI(api_key="none", base_url=base_url, http_client=http_client) as client:

        async def ask(number: int) -> object:
            return (await client.chat.completions.create(**body(number))).choices[0].message.content  # type: ignore[call-overload]

        return await all_of(ask, calls=calls, concurrency=concurrency)


async def direct(base_url: str, *, calls: int, concurrency: int) -> tuple[float, float]:
    """aiohttp alone: no retries, no error classes."""
    import aiohttp  # noqa: PLC0415 - a process imports its own client only

    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(
        connector=connector, headers={"Authorization": "Bearer none"}
    ) as session:

        async def ask(number: int) -> object:
            async with session.post(f"{base_url}/chat/completions", json=body(number)) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        return await all_of(ask, calls=calls, concurrency=concurrency)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("client", choices=("official", "official-aiohttp", "aiohttp"))
    parser.add_argument("base_url")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=32)
    options = parser.parse_args()
    counts = {"calls": options.calls, "concurrency": options.concurrency}
    if options.client == "aiohttp":
        seconds, cpu = asyncio.run(direct(options.base_url, **counts))
    else:
        way = {"aiohttp": options.client != "official"}
        seconds, cpu = asyncio.run(official(options.base_url, **counts, **way))
    told = {"calls_s": seconds, "calls_cpu_s": cpu, "process_s": time.perf_counter() - STARTED}
    print(json.dumps({name: round(value, 3) for name, value in told.items()}))


if __name__ == "__main__":
    main()
