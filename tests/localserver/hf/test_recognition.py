"""What a path leads to, told before anything is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import StorageError, UsageError
from harness.localserver.hf.recognition import recognise, runs_lean, weight_sizes
from tests.localserver.tiny_model import write_tiny_model


@pytest.fixture
def copied(tmp_path: Path, model_folder: Callable[[str], Path]) -> Path:
    """A model folder of one's own to spoil."""
    return Path(shutil.copytree(model_folder("chatml"), tmp_path / "My Model v1.5"))


def change(folder: Path, **settings: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))


def test_a_folder_is_for_transformers_and_named_after_itself(copied: Path) -> None:
    model = recognise(copied)
    assert not model.lean
    assert not model.is_gguf
    assert model.name == "my-model-v1.5"
    assert "model.safetensors" in {file.name for file in model.files}


def test_our_own_network_runs_a_smollm_gguf(tmp_path: Path) -> None:
    model = recognise(write_tiny_model(tmp_path / "Tiny.Q4_1.gguf"))
    assert model.lean
    assert model.is_gguf
    assert model.name == "tiny.q4_1"
    assert not runs_lean(tmp_path)


@pytest.mark.parametrize("inner", [b"llama", b"smollm", b"attn_k", b"named SmolLM"])
def test_a_gguf_of_another_kind_is_for_transformers(tmp_path: Path, inner: bytes) -> None:
    path = write_tiny_model(tmp_path / "other.gguf")
    other = bytes(reversed(inner)) if inner != b"named SmolLM" else b"named Pi-XYZ"
    path.write_bytes(path.read_bytes().replace(inner, other))
    assert not recognise(path).lean


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"architectures": ["BertForMaskedLM"]}, "BertForMaskedLM is not a causal language model"),
        ({"is_encoder_decoder": True}, "not a causal language model"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantized (awq)"),
    ],
)
def test_a_model_that_cannot_be_served_is_told(copied: Path, settings: dict[str, object], said: str) -> None:
    change(copied, **settings)
    with pytest.raises(UsageError) as caught:
        recognise(copied)
    assert said in caught.value.problem
    assert caught.value.remedy


def test_pickles_are_refused_with_the_way_out(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(UsageError, match="pickles") as caught:
        recognise(copied)
    assert "safe_serialization=True" in caught.value.remedy


def test_a_folder_that_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such model folder"):
        recognise(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"has no config\.json, so it is not a model folder \(give"):
        recognise(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="but an adapter") as caught:
        recognise(tmp_path)
    assert "base model" in caught.value.remedy
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UsageError, match="not a JSON object"):
        recognise(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="has no weights"):
        recognise(tmp_path)


def test_a_file_that_is_no_gguf_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notes.gguf"
    path.write_text("hello")
    with pytest.raises(UsageError, match="is not a GGUF file"):
        recognise(path)


def test_weights_are_counted_by_their_headers(copied: Path) -> None:
    assert sum(weight_sizes(copied)) > 20_000
    whole = (copied / "model.safetensors").read_bytes()
    for damaged in (b"", whole[:100], b"\xff" * 8 + whole[8:], b"\x02" + b"\0" * 7 + b"[]"):
        (copied / "model.safetensors").write_bytes(damaged)
        with pytest.raises(StorageError, match="damaged or cut off"):
            weight_sizes(copied)
