import json
from pathlib import Path
from typing import Any

import platformdirs
import pytest
import torch
from safetensors.torch import load_file

from harness.errors import StorageError
from harness.localserver.export.gguf_model import GgufModel
from harness.localserver.model.adapters import Adapter, Factors, module_widths, save_adapter
from harness.localserver.model.gguf_file import GgufFile
from harness.localserver.model.network import (
    attend_causally,
    causal_bias,
    next_token_logits,
    read_shape,
)
from harness.localserver.model.networks import Networks
from harness.localserver.model.weights import SMOLLM2
from tests.localserver.tiny_model import write_tiny_model

EMBEDDED = Path(platformdirs.user_cache_dir("finetune-harness")) / SMOLLM2.name
CPU = torch.device("cpu")
# peft asks transformers a question under its older name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
IDS = [1, 9, 40, 77, 120, 3, 255, 31, 8, 64, 200]


def nothing(_done: int, _total: int) -> None:
    pass


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


def write_adapter(model: Path, folder: Path, *, size: float) -> Path:
    """Changes to every matrix of the last two layers, as large as a training makes them."""
    shape = read_shape(GgufFile(model))
    generator = torch.Generator().manual_seed(3)

    def factors(outputs: int, inputs: int) -> Factors:
        return Factors(
            down=torch.randn(4, inputs, generator=generator) * size,
            up=torch.randn(outputs, 4, generator=generator) * size,
        )

    layers = {
        layer: {name: factors(*widths) for name, widths in module_widths(shape).items()}
        for layer in (shape.layers - 2, shape.layers - 1)
    }
    save_adapter(Adapter(rank=4, alpha=8.0, layers=layers), folder)
    return folder


@pytest.fixture(scope="module")
def adapter(tiny: Path) -> Path:
    return write_adapter(tiny, tiny.parent / "adapter", size=0.3)


def written(model: Path, folder: Path, *, adapter: Path | None = None, precision: Any = "float32") -> Path:
    folder.mkdir()
    GgufModel(model).write(folder, adapter=adapter, precision=precision, progress=nothing)
    return folder


def our_logits(model: Path, adapter: Path | None) -> torch.Tensor:
    """What the local server computes for these ids."""
    networks = Networks(GgufFile(model), dtype=torch.float32, device=CPU)

    def one_row(_: int, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        bias = causal_bias(len(queries), len(keys), like=queries)
        return attend_causally(queries, keys, values, bias=bias)

    network = networks.network(adapter)
    with torch.no_grad():
        return next_token_logits(network, IDS, positions=range(len(IDS)), attention=one_row)


def their_logits(folder: Path, *, adapter: Path | None = None) -> torch.Tensor:
    """What transformers computes of the folder, with the adapter on top through PEFT."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    with torch.no_grad():
        logits = model(torch.tensor([IDS])).logits[0]
    assert isinstance(logits, torch.Tensor)
    return logits


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert expected.abs().max() > 1  # the comparison is not one of zeros
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)


def test_transformers_computes_what_the_server_does(tiny: Path, tmp_path: Path) -> None:
    assert_same(their_logits(written(tiny, tmp_path / "base")), our_logits(tiny, None))


def test_merged_model_is_the_fine_tune(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    tuned = our_logits(tiny, adapter)
    assert (tuned - our_logits(tiny, None)).abs().max() > 0.5  # the adapter matters
    assert_same(their_logits(written(tiny, tmp_path / "merged", adapter=adapter)), tuned)


def test_adapter_on_the_exported_base_is_the_fine_tune(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    assert_same(their_logits(written(tiny, tmp_path / "base"), adapter=adapter), our_logits(tiny, adapter))


@pytest.mark.usefixtures("embedded_model")
def test_embedded_model_is_exported_whole(tmp_path: Path) -> None:
    adapter = write_adapter(EMBEDDED, tmp_path / "adapter", size=0.1)
    base = written(EMBEDDED, tmp_path / "base")
    tuned = our_logits(EMBEDDED, adapter)
    assert_same(their_logits(base), our_logits(EMBEDDED, None))
    assert_same(their_logits(base, adapter=adapter), tuned)
    assert_same(their_logits(written(EMBEDDED, tmp_path / "merged", adapter=adapter)), tuned)


def test_bfloat16_is_the_float32_model_rounded_once(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    exact = load_file(written(tiny, tmp_path / "exact", adapter=adapter) / "model.safetensors")
    folder = written(tiny, tmp_path / "rounded", adapter=adapter, precision="bfloat16")
    rounded = load_file(folder / "model.safetensors")
    assert rounded.keys() == exact.keys()
    assert all(torch.equal(rounded[name], exact[name].bfloat16()) for name in exact)
    assert json.loads((folder / "config.json").read_text())["torch_dtype"] == "bfloat16"


def test_configuration_is_complete(tiny: Path, tmp_path: Path) -> None:
    """transformers fills in what a configuration leaves out; here nothing of the network is left to it."""
    from transformers import AutoConfig, GenerationConfig

    folder = written(tiny, tmp_path / "base")
    config = AutoConfig.from_pretrained(folder)
    shape = read_shape(GgufFile(tiny))
    assert config.architectures == ["LlamaForCausalLM"]
    assert (config.num_hidden_layers, config.hidden_size) == (shape.layers, shape.width)
    assert (config.num_attention_heads, config.num_key_value_heads) == (shape.heads, shape.kv_heads)
    assert (config.intermediate_size, config.vocab_size) == (shape.feed_forward, shape.vocabulary)
    assert config.rope_parameters["rope_theta"] == shape.rope_base
    assert config.rms_norm_eps == 1e-5
    assert config.tie_word_embeddings
    ends = GenerationConfig.from_pretrained(folder).eos_token_id
    assert sorted(ends) == [0, 1, 2]
    assert ends[0] == config.eos_token_id == 2


def test_progress_ends_at_the_bytes_written(tiny: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = tmp_path / "base"
    folder.mkdir()
    model = GgufModel(tiny)
    model.write(folder, adapter=None, precision="bfloat16", progress=lambda *at: told.append(at))
    done, total = told[-1]
    assert done == total
    assert told == sorted(told)
    assert total <= (folder / "model.safetensors").stat().st_size < model.folder_bytes("bfloat16")


def test_adapter_of_another_model_is_refused(tiny: Path, tmp_path: Path) -> None:
    change = Factors(down=torch.ones(2, 8), up=torch.ones(8, 2))
    save_adapter(Adapter(rank=2, alpha=4.0, layers={0: {"self_attn.o_proj": change}}), tmp_path / "adapter")
    with pytest.raises(StorageError, match="does not fit the model"):
        written(tiny, tmp_path / "merged", adapter=tmp_path / "adapter")


@pytest.mark.usefixtures("embedded_model")
def test_embedded_model_tells_its_licence() -> None:
    assert GgufModel(EMBEDDED).license == "apache-2.0"
