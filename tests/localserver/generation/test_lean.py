from pathlib import Path

import pytest
import torch

from harness.errors import StorageError
from harness.localserver.generation.lean import LeanBackend, LeanDecoder
from harness.localserver.model.gguf_file import GgufFile
from tests.localserver.tiny_model import reference_logits, write_tiny_model

PROMPTS = [tuple(3 + (start + place * 7) % 250 for place in range(9 + start)) for start in range(4)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf", context=400)


@pytest.fixture(scope="module")
def backend(weights: Path) -> LeanBackend:
    return LeanBackend(weights, threads=2)


@pytest.fixture
def decoder(backend: LeanBackend) -> LeanDecoder:
    return backend.decoder(None)


def test_backend_tells_what_the_model_is(backend: LeanBackend) -> None:
    assert (backend.context, backend.tokens.size) == (400, 272)
    assert (backend.workers, backend.threads_each) == (2, 1)


@torch.inference_mode()
def test_logits_are_those_of_the_plain_computation(weights: Path, decoder: LeanDecoder) -> None:
    gguf = GgufFile(weights)

    def expected(rows: list[tuple[int, ...]]) -> torch.Tensor:
        return torch.stack([torch.from_numpy(reference_logits(gguf, ids)[-1]).float() for ids in rows])

    rows = list(PROMPTS)
    torch.testing.assert_close(decoder.read(rows[:3]), expected(rows[:3]), atol=5e-4, rtol=1e-3)
    torch.testing.assert_close(decoder.read(rows[3:]), expected(rows[3:]), atol=5e-4, rtol=1e-3)
    rows = [(*ids, 70 + row) for row, ids in enumerate(rows)]
    torch.testing.assert_close(decoder.advance([70, 71, 72, 73]), expected(rows), atol=5e-4, rtol=1e-3)
    decoder.drop(1)
    rows = [rows[0], rows[3], rows[2]]
    rows = [(*ids, 80 + row) for row, ids in enumerate(rows)]
    torch.testing.assert_close(decoder.advance([80, 81, 82]), expected(rows), atol=5e-4, rtol=1e-3)


@torch.inference_mode()
def test_another_decoder_knows_what_one_has_read(backend: LeanBackend) -> None:
    prompt = tuple(range(30, 90))
    first, second = backend.decoder(None), backend.decoder(None)
    first.read([prompt])
    second.read([prompt])
    assert (first.cached_tokens(0), second.cached_tokens(0)) == (0, 52)


def test_room_is_for_so_many_rows_and_so_many_tokens(decoder: LeanDecoder) -> None:
    assert decoder.room_for([(1,)] * 32, longest=1000)
    assert not decoder.room_for([(1,)] * 33, longest=10)
    assert not decoder.room_for([(1,)] * 32, longest=1025)
    assert decoder.room_for([(1,)], longest=10**6)


def test_missing_fine_tune_is_told(backend: LeanBackend, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no fine-tuned model"):
        backend.decoder(tmp_path / "none")
