import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.errors import StorageError
from harness.localserver.model.adapters import (
    MODULES,
    Adapter,
    Factors,
    load_adapter,
    merge,
    module_widths,
    save_adapter,
)
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import NetworkShape, read_layer, read_shape
from tests.localserver.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    return GgufFile(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf"))


@pytest.fixture(scope="module")
def shape(gguf: GgufFile) -> NetworkShape:
    return read_shape(gguf)


def random_adapter(shape: NetworkShape) -> Adapter:
    def factors(outputs: int, inputs: int) -> Factors:
        return Factors(down=torch.randn(4, inputs), up=torch.randn(outputs, 4))

    widths = module_widths(shape)
    layers = {layer: {module: factors(*widths[module]) for module in MODULES} for layer in (4, 5)}
    return Adapter(rank=4, alpha=8.0, layers=layers)


def test_what_is_saved_is_loaded(tmp_path: Path, shape: NetworkShape) -> None:
    saved = random_adapter(shape)
    save_adapter(saved, tmp_path / "step-7")
    loaded = load_adapter(tmp_path / "step-7", shape)
    assert (loaded.rank, loaded.alpha, sorted(loaded.layers)) == (4, 8.0, [4, 5])
    for layer, modules in saved.layers.items():
        for module, factors in modules.items():
            assert torch.equal(loaded.layers[layer][module].down, factors.down)
            assert torch.equal(loaded.layers[layer][module].up, factors.up)


def test_folder_is_in_the_form_peft_reads(tmp_path: Path, shape: NetworkShape) -> None:
    save_adapter(random_adapter(shape), tmp_path / "step-7")
    assert sorted(path.name for path in (tmp_path / "step-7").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    config = json.loads((tmp_path / "step-7" / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 4, 8.0)
    assert config["target_modules"] == [
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    ]
    tensors = load_file(tmp_path / "step-7" / "adapter_model.safetensors")
    assert len(tensors) == 2 * 7 * 2
    assert tensors["base_model.model.model.layers.4.self_attn.k_proj.lora_B.weight"].shape == (
        shape.kv_width,
        4,
    )


def test_nothing_half_written_is_left_behind(tmp_path: Path, shape: NetworkShape) -> None:
    save_adapter(random_adapter(shape), tmp_path / "step-7")
    assert [path.name for path in tmp_path.iterdir()] == ["step-7"]


def test_merged_layer_is_the_sum(gguf: GgufFile, shape: NetworkShape) -> None:
    changes = random_adapter(shape).layers[5]
    before = read_layer(gguf, shape, index=5)
    after = merge(before, changes, scale=2.0)
    stacked = torch.cat([changes[name].up @ changes[name].down for name in MODULES[:3]])
    torch.testing.assert_close(after.qkv, before.qkv + 2.0 * stacked)
    torch.testing.assert_close(
        after.down, before.down + 2.0 * changes["mlp.down_proj"].up @ changes["mlp.down_proj"].down
    )
    assert torch.equal(after.attention_norm, before.attention_norm)


def test_matrices_without_a_change_stay(gguf: GgufFile, shape: NetworkShape) -> None:
    changes = random_adapter(shape).layers[5]
    after = merge(
        before := read_layer(gguf, shape, index=5), {"mlp.up_proj": changes["mlp.up_proj"]}, scale=2.0
    )
    assert torch.equal(after.qkv, before.qkv)
    assert torch.equal(after.gate_up[: shape.feed_forward], before.gate_up[: shape.feed_forward])
    assert not torch.equal(after.gate_up[shape.feed_forward :], before.gate_up[shape.feed_forward :])


def test_missing_folder_is_refused(tmp_path: Path, shape: NetworkShape) -> None:
    with pytest.raises(StorageError, match="cannot be read as a fine-tuned model"):
        load_adapter(tmp_path / "none", shape)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_damaged_file_is_refused(tmp_path: Path, shape: NetworkShape, name: str) -> None:
    save_adapter(random_adapter(shape), tmp_path / "step-7")
    whole = (tmp_path / "step-7" / name).read_bytes()
    (tmp_path / "step-7" / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError, match="train it again"):
        load_adapter(tmp_path / "step-7", shape)


def changed_tensors(folder: Path, **changes: torch.Tensor | None) -> None:
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    for key, tensor in changes.items():
        name = f"base_model.model.model.layers.{key.replace('__', '.')}.weight"
        if tensor is None:
            del tensors[name]
        else:
            tensors[name] = tensor
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("key", "tensor", "message"),
    [
        ("4__mlp__up_proj__lora_A", torch.zeros(4, 3), "does not fit"),
        ("4__mlp__up_proj__lora_A", None, "does not fit"),
        ("9__mlp__up_proj__lora_A", torch.zeros(4, 64), "which the model does not have"),
    ],
)
def test_change_that_does_not_fit_is_refused(
    tmp_path: Path, shape: NetworkShape, key: str, tensor: torch.Tensor | None, message: str
) -> None:
    save_adapter(random_adapter(shape), tmp_path / "step-7")
    changed_tensors(tmp_path / "step-7", **{key: tensor})
    with pytest.raises(StorageError, match=message):
        load_adapter(tmp_path / "step-7", shape)
