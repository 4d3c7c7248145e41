from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from harness.errors import StorageError
from harness.localserver.export.fine_tunes import Destination, Source, export_adapter, export_merged
from harness.localserver.export.hf_model import HfModel
from harness.localserver.hf.chat_form import PLAIN_FORM
from harness.localserver.hf.recognition import recognise
from tests.localserver.hf.tiny import write_model

IDS = [5, 9, 40, 77, 12, 3, 25, 31, 8, 64]
# peft asks transformers a question under its older name.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False"),  # of GPT-2's own layers
]


def nothing(_done: int, _total: int) -> None:
    pass


def write_adapter(base: Path, folder: Path) -> Path:
    """A fine-tune of random changes, as peft saves it."""
    torch.manual_seed(4)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    return folder


def logits(folder: Path, *, adapter: Path | None = None) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    with torch.no_grad():
        found = model(torch.tensor([IDS])).logits[0]
    assert isinstance(found, torch.Tensor)
    return found


def source_of(base: Path, adapter: Path) -> Source:
    return Source(name="ft:m:local::abcdefgh", adapter=adapter, base=base.name, base_digest="0123")


@pytest.mark.parametrize("style", ["llama3", "gpt2", "gemma"])
def test_merged_model_is_the_adapter_on_its_base(style: str, tmp_path: Path) -> None:
    base = write_model(tmp_path / "base", style)
    adapter = write_adapter(base, tmp_path / "adapter")
    made = export_merged(
        source_of(base, adapter),
        HfModel(recognise(base)),
        Destination(folder=tmp_path / "out", precision="float32"),
        progress=nothing,
    )
    tuned = logits(base, adapter=adapter)
    assert (tuned - logits(base)).abs().max() > 0.01  # the adapter matters
    torch.testing.assert_close(logits(made.folder), tuned, atol=1e-4, rtol=1e-4)


def test_folder_with_a_chat_form_is_used_where_it_lies(tmp_path: Path) -> None:
    base = write_model(tmp_path / "base", "llama3")
    adapter = write_adapter(base, tmp_path / "adapter")
    made = export_adapter(
        source_of(base, adapter),
        HfModel(recognise(base)),
        Destination(folder=tmp_path / "out"),
        progress=nothing,
    )
    assert made.base == base
    torch.testing.assert_close(logits(base, adapter=made.folder), logits(base, adapter=adapter))


def test_model_without_a_chat_form_is_exported_with_the_one_it_had_here(tmp_path: Path) -> None:
    base = write_model(tmp_path / "base", "gpt2")
    adapter = write_adapter(base, tmp_path / "adapter")
    made = export_adapter(
        source_of(base, adapter),
        HfModel(recognise(base)),
        Destination(folder=tmp_path / "out", precision="float32"),
        progress=nothing,
    )
    assert made.base == tmp_path / "out" / "base"
    assert AutoTokenizer.from_pretrained(made.base).chat_template == PLAIN_FORM
    torch.testing.assert_close(logits(made.base), logits(base))


def test_token_that_ends_an_answer_ends_it_elsewhere_too(tmp_path: Path) -> None:
    """Gemma's answers end with <end_of_turn>, and its configuration names <eos> alone."""
    base = write_model(tmp_path / "base", "gemma")
    HfModel(recognise(base)).write(
        _made(tmp_path / "out"), adapter=None, precision="bfloat16", progress=nothing
    )
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    ends = GenerationConfig.from_pretrained(tmp_path / "out").eos_token_id
    assert ends == tokenizer.convert_tokens_to_ids(["<end_of_turn>", "<eos>"])


def test_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    base, other = write_model(tmp_path / "base", "llama3"), write_model(tmp_path / "other", "gpt2")
    adapter = write_adapter(other, tmp_path / "adapter")
    with pytest.raises(StorageError, match="cannot be read as a fine-tune of this model"):
        HfModel(recognise(base)).write(
            _made(tmp_path / "out"), adapter=adapter, precision="float32", progress=nothing
        )


def test_room_is_counted_before_the_weights_are_read(tmp_path: Path) -> None:
    base = write_model(tmp_path / "base", "llama3")
    weights = (base / "model.safetensors").stat().st_size
    assert HfModel(recognise(base)).folder_bytes("float32") >= weights


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
