import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.errors import EndpointError, StorageError, UsageError
from harness.localserver.generation.engine import Engine
from harness.localserver.generation.lean import LeanBackend
from harness.localserver.generation.requests import GenerationRequest, GenerationResult, Piece
from harness.localserver.model.adapters import MODULES, Adapter, Factors, module_widths, save_adapter
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import read_shape
from tests.localserver.generation.noise import NoisyBackend, NoisyDecoder
from tests.localserver.tiny_model import reference_logits, write_tiny_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf", context=400)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    shape = read_shape(GgufFile(weights))
    generator = torch.Generator().manual_seed(0)

    def factors(outputs: int, inputs: int) -> Factors:
        return Factors(
            down=torch.randn(2, inputs, generator=generator), up=torch.randn(outputs, 2, generator=generator)
        )

    layers = {5: {module: factors(*module_widths(shape)[module]) for module in MODULES}}
    folder = tmp_path_factory.mktemp("tuned") / "step-1"
    save_adapter(Adapter(rank=2, alpha=2.0, layers=layers), folder)
    return folder


@pytest.fixture(scope="module")
def engine(weights: Path) -> Iterator[Engine]:
    engine = Engine(LeanBackend(weights, threads=2))
    yield engine
    engine.close()


def request(text: str = "hello", **settings: object) -> GenerationRequest:
    values: dict[str, object] = {"adapter": None, "max_tokens": 8, "temperature": 0.0} | settings
    return GenerationRequest(prompt=({"role": "user", "content": text},), **values)  # type: ignore[arg-type]


def answer(engine: Engine, asked: GenerationRequest) -> GenerationResult:
    return but_cached(engine.submit(asked).result(timeout=30))


def but_cached(result: GenerationResult) -> GenerationResult:
    """What does not depend on the prompts that were read before."""
    return replace(result, cached_tokens=0)


def test_answers_in_a_crowd_are_those_given_alone(engine: Engine, tuned: Path) -> None:
    asked = [
        request(f"question {number}", adapter=tuned if number % 2 else None, max_tokens=3 + number % 5)
        for number in range(40)
    ]
    crowd = [but_cached(future.result(timeout=60)) for future in [engine.submit(one) for one in asked]]
    assert [answer(engine, one) for one in asked[:8]] == crowd[:8]


def test_fine_tune_answers_otherwise(engine: Engine, tuned: Path) -> None:
    assert answer(engine, request(adapter=tuned)).text != answer(engine, request()).text


def test_counts_are_the_prompts_and_the_answers(engine: Engine) -> None:
    found = answer(engine, request(max_tokens=5))
    assert found.prompt_tokens == engine.count_prompt_tokens(({"role": "user", "content": "hello"},))
    assert (found.completion_tokens, found.finish_reason) == (5, "length")


def test_seeded_draw_is_repeatable_in_any_crowd(engine: Engine) -> None:
    drawn = request(temperature=1.0, seed=11)
    alone = answer(engine, drawn)
    others = [engine.submit(request(f"other {number}", temperature=1.0)) for number in range(10)]
    assert answer(engine, drawn) == alone
    for other in others:
        other.result(timeout=30)


def test_unseeded_draws_differ(engine: Engine) -> None:
    assert len({answer(engine, request(temperature=1.0)).text for _ in range(6)}) > 1


def test_missing_fine_tune_fails_its_own_requests_only(engine: Engine, tmp_path: Path) -> None:
    lost = [engine.submit(request(adapter=tmp_path / "none")) for _ in range(2)]
    assert answer(engine, request()).completion_tokens > 0
    for future in lost:
        with pytest.raises(StorageError, match="there is no fine-tuned model"):
            future.result(timeout=30)


def test_damaged_fine_tune_fails_its_own_requests_only(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{")
    with pytest.raises(StorageError, match="cannot be read"):
        answer(engine, request(adapter=tmp_path))
    assert answer(engine, request()).completion_tokens > 0


def test_request_that_breaks_its_batch_is_told_and_others_go_on(engine: Engine) -> None:
    with pytest.raises(EndpointError, match="the local model failed: TypeError"):
        answer(engine, request(temperature="hot"))
    assert answer(engine, request()).completion_tokens > 0


def test_prompt_that_fills_the_context_is_refused(engine: Engine) -> None:
    with pytest.raises(UsageError, match="context is 400"):
        engine.submit(request("x" * 500))


def test_answer_ends_where_the_context_ends(engine: Engine) -> None:
    room = 400 - engine.count_prompt_tokens(({"role": "user", "content": "x" * 250},))
    found = answer(engine, request("x" * 250, max_tokens=1000))
    assert found.completion_tokens <= room


def test_context_length_is_the_models(engine: Engine) -> None:
    assert engine.context_length == 400


def test_closed_engine_fails_what_waits_and_takes_nothing(weights: Path) -> None:
    engine = Engine(LeanBackend(weights, threads=1))
    futures = [engine.submit(request(f"question {number}", max_tokens=300)) for number in range(80)]
    engine.close()
    failed = [future for future in futures if future.exception(timeout=10) is not None]
    assert failed
    assert all(isinstance(future.exception(), EndpointError) for future in failed)
    with pytest.raises(EndpointError, match="shutting down"):
        engine.submit(request())


def test_text_is_continued_as_it_stands(engine: Engine, weights: Path) -> None:
    tokens = LeanBackend(weights).tokens
    found = answer(engine, GenerationRequest(adapter=None, prompt="hello", max_tokens=3, temperature=0.0))
    assert found.prompt_tokens == len(tokens.encode_text("hello")) == engine.count_prompt_tokens("hello")


def test_empty_text_can_be_continued(engine: Engine) -> None:
    found = answer(engine, GenerationRequest(adapter=None, prompt="", max_tokens=3, temperature=0.0))
    assert found.prompt_tokens == 1


def streamed(engine: Engine, asked: GenerationRequest) -> tuple[list[Piece], GenerationResult]:
    pieces: list[Piece] = []
    result = engine.submit(asked, on_piece=pieces.append).result(timeout=30)
    return pieces, but_cached(result)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_pieces_together_are_the_answer_that_comes_at_once(engine: Engine, temperature: float) -> None:
    asked = request(max_tokens=30, temperature=temperature, seed=3, top_logprobs=2, stop=("zzz",))
    pieces, result = streamed(engine, asked)
    assert "".join(piece.text for piece in pieces) == result.text
    assert tuple(logprob for piece in pieces for logprob in piece.logprobs) == result.logprobs
    assert len(pieces) > 3
    assert all(piece.text for piece in pieces)
    assert answer(engine, asked) == result


def test_stop_text_is_never_streamed(engine: Engine) -> None:
    whole = answer(engine, request(max_tokens=30)).text
    stop = whole[5:8]
    pieces, result = streamed(engine, request(max_tokens=30, stop=(stop,)))
    assert "".join(piece.text for piece in pieces) == result.text == whole[: whole.index(stop)]
    assert result.finish_reason == "stop"


def test_listener_that_fails_ends_its_own_answer_only(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_piece: Piece) -> None:
        raise ValueError("the listener is gone")

    expected = answer(engine, request("other", max_tokens=40))
    failing = engine.submit(request(max_tokens=300), on_piece=fail)
    assert answer(engine, request("other", max_tokens=40)) == expected
    with pytest.raises(EndpointError, match="abandoned"):
        failing.result(timeout=30)
    assert "listener failed" in caplog.text


def test_log_probabilities_are_those_of_the_plain_computation(engine: Engine, weights: Path) -> None:
    gguf, tokens = GgufFile(weights), LeanBackend(weights).tokens
    conversation = ({"role": "user", "content": "hello"},)
    # Neither temperature nor penalties nor biases change what is reported.
    found = answer(
        engine,
        request(
            max_tokens=6, temperature=1.5, seed=5, top_logprobs=3, presence_penalty=1.0, logit_bias={70: 5.0}
        ),
    )
    assert found.logprobs
    ids = tokens.encode_prompt(conversation)
    by_bytes = {tokens.token_bytes(token): token for token in range(tokens.size)}
    for entry in found.logprobs:
        expected = torch.from_numpy(reference_logits(gguf, ids)[-1]).log_softmax(dim=0)
        likeliest = expected.topk(3)
        assert entry.logprob == pytest.approx(float(expected[by_bytes[entry.data]]), abs=2e-3)
        assert [one.logprob for one in entry.alternatives] == pytest.approx(
            likeliest.values.tolist(), abs=2e-3
        )
        assert [one.data for one in entry.alternatives] == [
            tokens.token_bytes(token) for token in likeliest.indices.tolist()
        ]
        ids.append(by_bytes[entry.data])
    joined = b"".join(entry.data for entry in found.logprobs)
    assert joined.decode(errors="replace") == found.text


def test_no_alternatives_are_reported_when_none_are_wanted(engine: Engine) -> None:
    found = answer(engine, request(top_logprobs=0))
    assert found.logprobs
    assert all(entry.alternatives == () for entry in found.logprobs)
    assert answer(engine, request()).logprobs is None


def test_biased_token_is_written(engine: Engine, weights: Path) -> None:
    (token,) = LeanBackend(weights).tokens.encode_text("Q")
    assert answer(engine, request(max_tokens=4, logit_bias={token: 100.0})).text == "QQQQ"


def test_penalised_token_is_not_written_again(engine: Engine, weights: Path) -> None:
    (token,) = LeanBackend(weights).tokens.encode_text("Q")
    presence = answer(engine, request(max_tokens=4, logit_bias={token: 100.0}, presence_penalty=200.0))
    assert presence.text.count("Q") == 1
    frequency = answer(engine, request(max_tokens=8, logit_bias={token: 100.0}, frequency_penalty=30.0))
    assert 2 <= frequency.text.count("Q") < 8


def test_bias_of_a_token_there_is_not_is_refused(engine: Engine) -> None:
    with pytest.raises(UsageError, match=r"token 99999.*0 to 271"):
        engine.submit(request(logit_bias={99999: 1.0}))


def test_schema_holds_beside_answers_without_one(engine: Engine) -> None:
    schema = '{"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"], "additionalProperties": false}'
    crowd = [engine.submit(request(f"free {number}", max_tokens=20)) for number in range(6)]
    for temperature in (0.0, 1.0):
        found = answer(
            engine, request(schema=schema, max_tokens=60, temperature=temperature, seed=1, top_logprobs=1)
        )
        assert found.finish_reason == "stop"
        assert json.loads(found.text)["a"] in {"x", "y"}
        assert found.logprobs
        assert b"".join(entry.data for entry in found.logprobs).decode() == found.text
    for future in crowd:
        future.result(timeout=30)


def test_schema_that_cannot_be_followed_is_refused_at_once(engine: Engine) -> None:
    with pytest.raises(UsageError, match="objekt"):
        engine.submit(request(schema='{"type": "objekt"}'))


def test_abandoned_answer_ends_and_others_go_on(engine: Engine) -> None:
    begun = threading.Event()
    expected = answer(engine, request("other", max_tokens=40))
    unwanted = engine.submit(request(max_tokens=350), on_piece=lambda _: begun.set())
    assert begun.wait(30)
    beside = engine.submit(request("other", max_tokens=40))
    engine.abandon(unwanted)
    with pytest.raises(EndpointError, match="abandoned"):
        unwanted.result(timeout=30)
    assert but_cached(beside.result(timeout=30)) == expected


def test_abandoned_request_that_still_waits_is_cancelled(weights: Path) -> None:
    engine = Engine(LeanBackend(weights, threads=1))
    try:
        futures = [engine.submit(request(f"question {number}", max_tokens=300)) for number in range(80)]
        engine.abandon(futures[-1])
        assert futures[-1].cancelled()
    finally:
        engine.close()


def test_answer_that_is_there_cannot_be_abandoned(engine: Engine) -> None:
    future = engine.submit(request())
    result = future.result(timeout=30)
    engine.abandon(future)
    assert future.result() == result


def test_prompt_asked_before_is_known(weights: Path) -> None:
    engine = Engine(LeanBackend(weights, threads=1))
    try:
        first = engine.submit(request("a question")).result(timeout=30)
        second = engine.submit(request("a question")).result(timeout=30)
    finally:
        engine.close()
    assert (first.cached_tokens, second.cached_tokens) == (0, first.prompt_tokens - 8)
    assert second.text == first.text


def test_answers_to_one_prompt_differ_by_their_seeds(engine: Engine) -> None:
    asked = [request(temperature=1.0, seed=seed) for seed in range(8)]
    together = [but_cached(future.result(timeout=30)) for future in [engine.submit(one) for one in asked]]
    assert len({result.text for result in together}) > 4
    assert [answer(engine, one) for one in asked] == together


class Breaking(NoisyDecoder):
    """A decoder that breaks at its second step."""

    def advance(self, tokens: Sequence[int]) -> torch.Tensor:
        raise MemoryError("no room")


def test_any_backend_is_served_and_its_trouble_is_told(weights: Path) -> None:
    backend = NoisyBackend(LeanBackend(weights).tokens)
    engine = Engine(backend)
    try:
        assert answer(engine, request()).completion_tokens > 0
        backend.decoder = lambda _: Breaking(backend.tokens.size)  # type: ignore[method-assign]
        with pytest.raises(EndpointError, match="MemoryError: no room"):
            answer(engine, request(logit_bias={2: -100.0, 0: -100.0, 1: -100.0}))
    finally:
        engine.close()


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none\.gguf"):
        LeanBackend(tmp_path / "none.gguf")
