"""Does every answer come where an endpoint misbehaves, and how fast? Ours against the official client as it comes, at the same rates of trouble.

    python benchmarks/load/faults.py [--requests 2000] [--concurrency 32] [--json]

The endpoint refuses, fails and drops at random. "As it comes" is AsyncOpenAI with its default of two retries.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable

from openai import AsyncOpenAI, OpenAIError

from harness.models import ChatClient, OpenAIChat
from harness.records import Completion, Endpoint, Sampling
from harness.testing.endpoints import DROPPED, Fault, FaultyEndpoint, Script

RETRY_SOON = {"retry-after-ms": "50"}
SCENES: dict[str, list[tuple[float, Fault]]] = {
    "5 % 429, 2 % 500, 1 % dropped": [(0.05, Fault(status=429)), (0.02, Fault(status=500)), (0.01, DROPPED)],
    "30 % 429": [(0.3, Fault(status=429))],
    "30 % 429 with Retry-After": [(0.3, Fault(status=429, headers=RETRY_SOON))],
}
Ask = Callable[[str], Awaitable[bool]]


def script(faults: list[tuple[float, Fault]]) -> Script:
    drawn, chances = random.Random(0), [chance for chance, _ in faults]
    kinds = [*(fault for _, fault in faults), None]
    return lambda _: drawn.choices(kinds, [*chances, 1 - sum(chances)])[0]


async def all_of(ask: Ask, *, requests: int, concurrency: int) -> int:
    limit = asyncio.Semaphore(concurrency)

    async def one(number: int) -> bool:
        async with limit:
            return await ask(str(number))

    return sum(await asyncio.gather(*(one(number) for number in range(requests))))


async def ours(base_url: str, **counts: int) -> int:
    chat = OpenAIChat("m", ChatClient(Endpoint(label="there", base_url=base_url, api_key="none")))

    async def ask(prompt: str) -> bool:
        return isinstance(await chat.complete([{"role": "user", "content": prompt}], Sampling()), Completion)

    try:
        return await all_of(ask, **counts)
    finally:
        await chat.close()


async def official(base_url: str, **counts: int) -> int:
    async with AsyncOpenAI(api_key="none", base_url=base_url) as client:

        async def ask(prompt: str) -> bool:
            try:
                await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": prompt}]
                )
            except OpenAIError:
                return False
            return True

        return await all_of(ask, **counts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    counts = {"requests": options.requests, "concurrency": options.concurrency}
    told = []
    for scene, faults in SCENES.items():
        for name, client in (("harness", ours), ("official client", official)):
            with FaultyEndpoint(lambda prompt: prompt, faults=script(faults)) as endpoint:
                started = time.perf_counter()
                answers = asyncio.run(client(endpoint.base_url, **counts))
                seconds = time.perf_counter() - started
                sent = endpoint.requests
            told.append(
                {
                    "scene": scene,
                    "client": name,
                    "lost": options.requests - answers,
                    "seconds": round(seconds, 1),
                    "sent": sent,
                }
            )
            if not options.json:
                print(
                    f"{scene:32} {name:16} lost {options.requests - answers:4} of {options.requests}, {seconds:6.1f} s, {sent} requests",
                    flush=True,
                )
    if options.json:
        print(json.dumps(told))


if __name__ == "__main__":
    main()
