import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.models import AnswerCache, CachedEmbedder, ChatClient, OpenAIEmbedder, vector_key
from harness.models.embeddings import read_embedding
from harness.protocols import Embedder
from harness.records import Embedding, Endpoint, Failure, Json
from harness.testing.endpoints import NOT_JSON, Fault, FaultyEndpoint, Script

KEY = "sk-test-0123456789abcdef"


def reply(body: Mapping[str, Json]) -> Fault:
    vector = [float(len(str(body.get("input")))), 0.123456789012]
    data = {"object": "list", "data": [{"index": 0, "embedding": vector}], "usage": {"prompt_tokens": 3}}
    return Fault(status=200, body=json.dumps(data))


def embed(server: FaultyEndpoint, *texts: str) -> list[Embedding | Failure]:
    endpoint = Endpoint(label="test", base_url=server.base_url, api_key=KEY, max_retries=0)

    async def run() -> list[Embedding | Failure]:
        client = ChatClient(endpoint)
        try:
            return [await OpenAIEmbedder("vectors-1", client).embed(text) for text in texts]
        finally:
            await client.close()

    return asyncio.run(run())


def failure_for(faults: Script) -> Failure:
    with FaultyEndpoint(faults=faults) as server:
        (outcome,) = embed(server, "hello")
    assert isinstance(outcome, Failure)
    return outcome


def test_a_text_comes_back_as_a_vector_with_its_tokens() -> None:
    with FaultyEndpoint(faults=reply) as server:
        (found,) = embed(server, "北京")
    assert server.bodies == [{"model": "vectors-1", "input": "北京"}]
    assert found == Embedding(vector=(2.0, 0.12345679), prompt_tokens=3)


def test_wrong_key_is_fatal_and_is_not_shown() -> None:
    failure = failure_for([Fault(status=401, message=f"Incorrect API key: {KEY}")])
    assert (failure.kind, failure.fatal) == ("auth", True)
    assert KEY not in failure.message


def test_a_server_that_gives_no_vectors_is_told_of() -> None:
    failure = failure_for([NOT_JSON])
    assert failure.kind == "malformed"
    assert failure.message.startswith("vectors-1 at test: the answer is no list of embeddings: ")


def test_a_text_that_no_request_can_carry_is_a_failure_of_its_own() -> None:
    with FaultyEndpoint(faults=reply) as server:
        (failure,) = embed(server, "half a character \ud83d")
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.fatal) == ("bad_request", False)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        '{"data": []}',
        '{"data": [{"embedding": []}]}',
        '{"data": [{"embedding": "AAAA"}]}',
        '{"data": [{"embedding": [1, "x"]}]}',
        '{"data": [{"embedding": [NaN]}]}',
        '{"data": [{"embedding": [true]}]}',
        "[" * 100_000,
    ],
)
def test_anything_else_is_malformed(body: str) -> None:
    outcome = read_embedding(body)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "malformed"


def test_nonsense_usage_is_unknown_not_a_number() -> None:
    assert read_embedding('{"data": [{"embedding": [1]}], "usage": {"prompt_tokens": -1}}') == Embedding(
        vector=(1.0,)
    )


# --- the cache -------------------------------------------------------------------------------------


class Counting:
    """An embedder that counts."""

    name = "counting"

    def __init__(self, outcome: Embedding | Failure | None = None) -> None:
        self.asked: list[str] = []
        self._outcome = outcome

    async def embed(self, text: str) -> Embedding | Failure:
        self.asked.append(text)
        await asyncio.sleep(0)
        return self._outcome or Embedding(vector=(1.0, float(len(text))), prompt_tokens=len(text))


def ask(embedder: Embedder, texts: Sequence[str]) -> list[Embedding | Failure]:
    async def run() -> list[Embedding | Failure]:
        return list(await asyncio.gather(*(embedder.embed(text) for text in texts)))

    return asyncio.run(run())


def test_a_vector_is_paid_for_once_and_comes_back_the_same(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    with AnswerCache(tmp_path / "answers.sqlite") as cache:
        one = ask(CachedEmbedder(first, cache, endpoint="e"), ["a", "bb", "a"])
        two = ask(CachedEmbedder(second, cache, endpoint="e"), ["bb"])
        assert cache.holds(vector_key("a", endpoint="e", model="counting"))
        assert not cache.holds(vector_key("a", endpoint="f", model="counting"))
    assert sorted(first.asked) == ["a", "bb"]
    assert second.asked == []
    assert one[1] == Embedding(vector=(1.0, 2.0), prompt_tokens=2)
    assert two == [Embedding(vector=(1.0, 2.0), prompt_tokens=2, cached=True)]


def test_without_reading_a_text_is_embedded_anew_but_once(tmp_path: Path) -> None:
    embedder = Counting()
    with AnswerCache(tmp_path / "answers.sqlite") as cache:
        ask(CachedEmbedder(Counting(), cache, endpoint="e"), ["a"])
        anew = CachedEmbedder(embedder, cache, endpoint="e", read=False)
        ask(anew, ["a"])
        ask(anew, ["a"])
    assert embedder.asked == ["a"]


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    down = Counting(Failure(kind="server", message="500"))
    with AnswerCache(tmp_path / "answers.sqlite") as cache:
        for _ in range(2):
            ask(CachedEmbedder(down, cache, endpoint="e"), ["a"])
    assert down.asked == ["a", "a"]
