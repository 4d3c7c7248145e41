"""Two thousand requests would take a minute here; benchmarks/load/faults.py asks so many. The rates are the same."""

import asyncio
import random
import threading
from collections import Counter
from itertools import repeat

import pytest

from harness.models import ChatClient, OpenAIChat
from harness.records import Completion, Endpoint, Failure, Sampling
from harness.testing.endpoints import (
    DROPPED,
    HALF_SENT,
    LOADING,
    NO_MONEY,
    Answer,
    Fault,
    FaultyEndpoint,
    Script,
)

SOON = {"retry-after-ms": "5"}


def ask_all(server: FaultyEndpoint, requests: int, **settings: int) -> list[Completion | Failure]:
    """Ask so many prompts, 32 at a time, with the retries that are the default."""
    endpoint = Endpoint(label="test", base_url=server.base_url, api_key="k", **settings)

    async def run() -> list[Completion | Failure]:
        chat, limit = OpenAIChat("m", ChatClient(endpoint)), asyncio.Semaphore(32)

        async def one(number: int) -> Completion | Failure:
            async with limit:
                return await chat.complete([{"role": "user", "content": f"{number}"}], Sampling())

        try:
            return list(await asyncio.gather(*(one(number) for number in range(requests))))
        finally:
            await chat.close()

    return asyncio.run(run())


def at_random(*faults: tuple[float, Fault], seed: int = 0) -> Script:
    """Each fault with its chance."""
    chances, drawn = [chance for chance, _ in faults], random.Random(seed)
    kinds = [fault for _, fault in faults]

    def draw(_: object) -> Fault | None:
        return drawn.choices([*kinds, None], [*chances, 1 - sum(chances)])[0]

    return draw


@pytest.mark.parametrize(
    "script",
    [
        at_random(
            (0.05, Fault(status=429, headers=SOON)), (0.02, Fault(status=500, headers=SOON)), (0.01, DROPPED)
        ),
        at_random((0.3, Fault(status=429, headers=SOON))),
        at_random((0.05, LOADING), (0.01, HALF_SENT), (0.05, Fault(status=200, trickle_s=0.02))),
    ],
    ids=["mixed", "three in ten refused", "loading, half sent, slow"],
)
def test_every_answer_is_obtained(script: Script) -> None:
    with FaultyEndpoint(lambda prompt: prompt, faults=script) as server:
        answers = ask_all(server, 300)
        assert all(isinstance(answer, Completion) for answer in answers)
        assert len(server.bodies) > 300


class Doorman:
    """Lets so many requests in at once, more of them from some answer on; notes how many were there at each answer."""

    def __init__(self, *, at_once: int, later: int, later_from: int) -> None:
        self._allowed, self._later, self._later_from = at_once, later, later_from
        self._lock = threading.Lock()
        self._inside = 0
        self.refused = 0
        self.crowds: list[int] = []

    def script(self, _: object) -> Fault | None:
        with self._lock:
            allowed = self._later if len(self.crowds) >= self._later_from else self._allowed
            if self._inside >= allowed:
                self.refused += 1
                return Fault(status=429, headers=SOON)
            self._inside += 1
            return None

    def answer(self, prompt: str) -> str:
        with self._lock:
            self.crowds.append(self._inside)
            self._inside -= 1
        return prompt


def test_an_endpoint_is_asked_as_many_at_once_as_it_allows_and_more_when_it_allows_more() -> None:
    doorman = Doorman(at_once=4, later=100, later_from=150)
    with FaultyEndpoint(doorman.answer, faults=doorman.script, latency_s=0.02) as server:
        answers = ask_all(server, 400)
    assert all(isinstance(answer, Completion) for answer in answers)
    assert max(doorman.crowds[:150]) == 4
    assert max(doorman.crowds[-150:]) >= 16
    # The rush at the beginning, and about one in three after it: asked 32 at once all the time, seven of eight would be refused.
    assert doorman.refused <= 32 + 150


def test_nothing_is_asked_after_the_money_is_gone() -> None:
    script = (None if number < 40 else NO_MONEY for number in range(10_000))
    with FaultyEndpoint(faults=script) as server:
        answers = ask_all(server, 300)
        # What was under way when the first refusal came may still be refused.
        assert server.requests <= 40 + 32
    kinds = Counter(answer.kind if isinstance(answer, Failure) else "answer" for answer in answers)
    assert kinds == {"answer": 40, "quota": 260}


def test_nothing_waits_to_ask_again_with_a_wrong_key() -> None:
    busy = Fault(status=429, headers={"retry-after-ms": "30"})
    script = iter([*repeat(busy, 8), *repeat(Fault(status=401), 10_000)])
    with FaultyEndpoint(faults=script) as server:
        answers = ask_all(server, 64)
        assert server.requests <= 8 + 32
    assert {answer.kind for answer in answers if isinstance(answer, Failure)} == {"auth"}


def test_filtered_and_refused_answers_are_answers() -> None:
    odd = Answer(text=None, finish_reason="content_filter", refusal="No.", system_fingerprint="fp_2")
    with FaultyEndpoint(odd) as server:
        (answer,) = ask_all(server, 1)
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason, answer.refusal) == ("", "content_filter", "No.")
    assert answer.system_fingerprint == "fp_2"


def test_a_page_in_place_of_json_is_a_malformed_answer() -> None:
    page = Fault(status=200, body="<html>Welcome</html>", content_type="text/html")
    with FaultyEndpoint(faults=repeat(page)) as server:
        (answer,) = ask_all(server, 1)
    assert isinstance(answer, Failure)
    assert answer.kind == "malformed"


def test_an_answer_that_never_ends_is_a_timeout() -> None:
    with FaultyEndpoint(faults=repeat(Fault(status=200, trickle_s=8.0))) as server:
        endpoint = Endpoint(label="t", base_url=server.base_url, api_key="k", timeout_s=0.2, max_retries=0)

        async def run() -> Completion | Failure:
            chat = OpenAIChat("m", ChatClient(endpoint))
            try:
                return await chat.complete([{"role": "user", "content": "hi"}], Sampling())
            finally:
                await chat.close()

        answer = asyncio.run(run())
    assert isinstance(answer, Failure)
    assert answer.kind == "timeout"
