"""A run's requests through the local server's batches, against the same requests asked live."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.evals.batch_ledger import BatchLedger
from harness.evals.batching import BatchTerms, Sent, send_batches
from harness.models import AnswerCache, ChatClient, OpenAIChat
from harness.models.batch_lines import Unasked, unasked
from harness.records import Completion, Endpoint, Failure, Sampling
from tests.localserver.fakes import BASE, Server, running_server

PROMPTS = ("hello there", "你好 \u2028 世界", "", "word " * 60)
SAMPLING = Sampling(max_tokens=8, seed=3, top_logprobs=2)


def endpoint_of(server: Server) -> Endpoint:
    return Endpoint(label="local", base_url=str(server.client.base_url), api_key="local")


def requests_to(endpoint: Endpoint) -> list[Unasked]:
    return [
        unasked(endpoint, BASE.name, ({"role": "user", "content": prompt},), SAMPLING, trial=trial)
        for prompt in PROMPTS
        for trial in range(2)
    ]


def asked_live(requests: list[Unasked]) -> list[Completion | Failure]:
    async def ask() -> list[Completion | Failure]:
        client = ChatClient(requests[0].endpoint)
        model = OpenAIChat(BASE.name, client)
        found = [await model.complete(one.messages, one.sampling, trial=one.trial) for one in requests]
        await client.close()
        return found

    return asyncio.run(ask())


def by_batch(requests: list[Unasked], folder: Path, sent: Sent) -> list[Completion | None]:
    with AnswerCache(folder / "answers.sqlite") as cache:

        async def find() -> Mapping[str, Unasked]:
            return {one.key: one for one in requests if not cache.holds(one.key)}

        terms = BatchTerms(
            ledger=BatchLedger(folder / "batches"),
            cache=cache,
            run="run-1",
            say=lambda _: None,
            progress=lambda _: None,
            allow=lambda _: None,
            paid=lambda *_: None,
            sleep=lambda _: asyncio.sleep(0.01),
        )
        asyncio.run(send_batches(find, terms, sent=sent))
        return [cache.find(one.key, Completion) for one in requests]


def test_answers_of_a_batch_are_those_of_the_live_way(tmp_path: Path) -> None:
    sent = Sent()
    with running_server(tmp_path / "state") as server:
        requests = requests_to(endpoint_of(server))
        live, batched = asked_live(requests), by_batch(requests, tmp_path, sent)
    assert len(sent.batches) == 1
    assert sent.left == {"bad_request": 2}  # the prompt that does not fit the model
    for one, other in zip(live, batched, strict=True):
        if isinstance(one, Failure):
            assert other is None
            continue
        assert other is not None
        assert (other.latency_s, {other.batch}) == (None, sent.batches)
        assert replace(one, latency_s=None) == replace(other, batch=None, cached=False)


def test_a_batch_outlives_its_server(tmp_path: Path) -> None:
    """The server is gone before the batch is collected; the next one, on another port, is known by the same label."""
    ledger, sent = BatchLedger(tmp_path / "batches"), Sent()
    with running_server(tmp_path / "state") as server:
        requests = requests_to(endpoint_of(server))[:2]
        entry = ledger.write([one.line() for one in requests], endpoint="local", model=BASE.name, run="run-1")
        file = server.upload(ledger.requests_of(entry).read_bytes(), purpose="batch")
        batch = server.client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        ledger.note(replace(entry, step="sent", batch=batch.id))
    with running_server(tmp_path / "state") as server:
        answers = by_batch(requests_to(endpoint_of(server))[:2], tmp_path, sent)
        assert len(server.client.batches.list().data) == 1
    assert [answer is not None and answer.text for answer in answers] == ["hello there"] * 2
    assert sent.batches == {batch.id}
