from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.errors import EndpointError, StorageError, UsageError
from harness.localserver.generation.engine import Engine
from harness.localserver.generation.lean import LeanBackend
from harness.localserver.generation.requests import GenerationRequest, GenerationResult
from harness.localserver.model.adapters import MODULES, Adapter, Factors, module_widths, save_adapter
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import read_shape
from tests.localserver.tiny_model import write_tiny_model


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


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none\.gguf"):
        LeanBackend(tmp_path / "none.gguf")
