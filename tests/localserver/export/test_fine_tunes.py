import json
from pathlib import Path

import pytest

from harness.errors import StorageError, UsageError
from harness.localserver.export.fine_tunes import Destination, Source, export_adapter, export_merged
from harness.localserver.export.gguf_model import GgufModel
from tests.localserver.export.test_gguf_model import write_adapter
from tests.localserver.tiny_model import write_tiny_model

NAME = "ft:tiny:local:shop:abcdefgh"
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def nothing(_done: int, _total: int) -> None:
    pass


class Counted:
    """A model that counts how often it is written."""

    def __init__(self, path: Path) -> None:
        self.model = GgufModel(path)
        self.folder = None
        self.license = "mit"
        self.folder_bytes = self.model.folder_bytes
        self.written = 0

    def write(self, folder: Path, **options: object) -> None:
        self.written += 1
        self.model.write(folder, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture
def model(path: Path) -> Counted:
    return Counted(path)


@pytest.fixture
def source(path: Path, tmp_path: Path) -> Source:
    adapter = write_adapter(path, tmp_path / "adapter", size=0.1)
    return Source(name=NAME, adapter=adapter, base="tiny", base_digest="0123")


def test_adapter_lies_beside_its_base(source: Source, model: Counted, tmp_path: Path) -> None:
    made = export_adapter(source, model, Destination(folder=tmp_path / "out"), progress=nothing)
    assert (made.folder, made.base) == (tmp_path / "out", tmp_path / "out" / "base")
    assert {item.name for item in made.folder.iterdir()} == {
        *("adapter_config.json", "adapter_model.safetensors", "README.md", "base")
    }
    assert {item.name for item in (tmp_path / "out" / "base").iterdir()} == {
        *("config.json", "generation_config.json", "model.safetensors", "README.md", "harness-export.json"),
        *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    }


def test_peft_finds_the_base_by_the_adapter(source: Source, model: Counted, tmp_path: Path) -> None:
    from peft import AutoPeftModelForCausalLM

    made = export_adapter(source, model, Destination(folder=tmp_path / "out"), progress=nothing)
    loaded = AutoPeftModelForCausalLM.from_pretrained(made.folder)
    assert loaded.peft_config["default"].base_model_name_or_path == str(made.base)


def test_adapter_is_the_stored_one(source: Source, model: Counted, tmp_path: Path) -> None:
    made = export_adapter(source, model, Destination(folder=tmp_path / "out"), progress=nothing)
    name = "adapter_model.safetensors"
    assert (made.folder / name).read_bytes() == (source.adapter / name).read_bytes()
    before = json.loads((source.adapter / "adapter_config.json").read_text())
    after = json.loads((made.folder / "adapter_config.json").read_text())
    assert {**before, "base_model_name_or_path": str(made.base)} == after


def test_base_of_its_own_is_written_once_for_several_adapters(
    source: Source, model: Counted, tmp_path: Path
) -> None:
    base = tmp_path / "shared"
    for name in ("first", "second"):
        made = export_adapter(source, model, Destination(folder=tmp_path / name, base=base), progress=nothing)
        assert made.base == base
        assert not (made.folder / "base").exists()
    assert model.written == 1


def test_base_of_another_precision_is_not_taken_for_it(
    source: Source, model: Counted, tmp_path: Path
) -> None:
    base = tmp_path / "shared"
    export_adapter(source, model, Destination(folder=tmp_path / "a", base=base), progress=nothing)
    with pytest.raises(UsageError, match="shared: holds a model already"):
        export_adapter(
            source,
            model,
            Destination(folder=tmp_path / "b", base=base, precision="float32"),
            progress=nothing,
        )
    assert not (tmp_path / "b").exists()


def test_model_other_programs_can_read_is_not_copied(source: Source, model: Counted, tmp_path: Path) -> None:
    model.folder = tmp_path / "original"  # type: ignore[assignment]
    made = export_adapter(source, model, Destination(folder=tmp_path / "out"), progress=nothing)
    assert made.base == tmp_path / "original"
    assert model.written == 0


def test_base_may_lie_anywhere_in_the_adapters_folder(source: Source, model: Counted, tmp_path: Path) -> None:
    place = Destination(folder=tmp_path / "out", base=tmp_path / "out" / "models" / "tiny")
    made = export_adapter(source, model, place, progress=nothing)
    assert made.base == tmp_path / "out" / "models" / "tiny"
    assert (made.base / "model.safetensors").is_file()


def test_adapter_and_base_cannot_share_a_folder(source: Source, model: Counted, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name two folders"):
        export_adapter(
            source, model, Destination(folder=tmp_path / "out", base=tmp_path / "out"), progress=nothing
        )


def test_folder_that_is_taken_is_told_before_the_base_is_written(
    source: Source, model: Counted, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a model already"):
        export_adapter(
            source, model, Destination(folder=tmp_path / "out", base=tmp_path / "base"), progress=nothing
        )
    assert not (tmp_path / "base").exists()


def test_readme_of_an_adapter_has_the_command_that_serves_it(
    source: Source, model: Counted, tmp_path: Path
) -> None:
    made = export_adapter(source, model, Destination(folder=tmp_path / "my out"), progress=nothing)
    readme = (made.folder / "README.md").read_text()
    assert made.serve == (
        f"vllm serve '{made.base}' --served-model-name tiny --enable-lora "
        f"--lora-modules '{NAME}={made.folder}'"
    )
    assert made.serve + "\n" in readme
    assert 'license: "mit"' in readme
    assert f'base_model: "{made.base}"' in readme


def test_merged_model_is_one_folder(source: Source, model: Counted, tmp_path: Path) -> None:
    exported = export_merged(source, model, Destination(folder=tmp_path / "out"), progress=nothing)
    made = exported.folder
    assert (made / "model.safetensors").is_file()
    assert not (made / "adapter_config.json").exists()
    note = json.loads((made / "harness-export.json").read_text())
    assert note == {
        "fine_tune": NAME,
        "base": "tiny",
        "base_digest": "0123",
        "precision": "bfloat16",
    }
    readme = (made / "README.md").read_text()
    assert exported.serve == f"vllm serve {made} --served-model-name {NAME}"
    assert exported.serve + "\n" in readme
    assert f"convert_hf_to_gguf.py {made} " in readme


@pytest.mark.parametrize("export", [export_adapter, export_merged])
def test_damaged_fine_tune_writes_nothing(
    source: Source, model: Counted, tmp_path: Path, export: type
) -> None:
    (source.adapter / "adapter_model.safetensors").write_bytes(b"\x00" * 9)
    with pytest.raises(StorageError, match="cannot be read as a fine-tuned model"):
        export(source, model, Destination(folder=tmp_path / "out"), progress=nothing)
    assert not (tmp_path / "out").exists()
    assert model.written == 0
