"""A GGUF file through transformers says what it says through our own network, and what the file itself says."""

from pathlib import Path

import pytest
import torch

from harness.localserver.generation.lean import LeanBackend
from harness.localserver.hf.backend import HfBackend
from harness.localserver.hf.loading import count_numbers
from harness.localserver.hf.recognition import ModelOnDisk
from harness.localserver.model.gguf_file import GgufFile
from tests.localserver.tiny_model import write_tiny_model

TALK = [
    {"role": "user", "content": "hello <|im_end|> world 12"},
    {"role": "assistant", "content": "hello"},
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def backend(weights: Path) -> HfBackend:
    return HfBackend(ModelOnDisk(path=weights, lean=False), threads=1, device="cpu")


def test_prompts_and_what_is_learned_of_a_conversation_are_the_same(
    backend: HfBackend, weights: Path
) -> None:
    lean = LeanBackend(weights, threads=1, device="cpu").tokens
    assert backend.tokens.encode_prompt(TALK) == lean.encode_prompt(TALK)
    ids, mask = backend.tokens.encode_training(TALK)
    lean_ids, lean_mask = lean.encode_training(TALK)
    # Ours stops behind the last answer; the line break there is never learned.
    assert (ids, mask) == (lean_ids[: len(ids)], lean_mask[: len(ids)])
    assert not any(lean_mask[len(ids) :])
    assert backend.tokens.end_id == lean.end_id
    assert backend.tokens.size == lean.size


def test_logits_are_the_same(backend: HfBackend, weights: Path) -> None:
    prompt = tuple(backend.tokens.encode_prompt(TALK))
    decoders = [backend.decoder(None), LeanBackend(weights, threads=1, device="cpu").decoder(None)]
    with torch.inference_mode():
        for step in range(3):
            ours, lean = (
                decoder.read([prompt]) if step == 0 else decoder.advance([step]) for decoder in decoders
            )
            torch.testing.assert_close(ours, lean, rtol=0, atol=1e-4 * float(lean.std()))


def test_weights_are_counted_by_the_header(weights: Path) -> None:
    gguf = GgufFile(weights)
    assert count_numbers(ModelOnDisk(path=weights, lean=False)) == sum(
        gguf.tensor(name).size for name in gguf.tensor_names
    )
