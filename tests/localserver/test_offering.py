"""What a server says of its model: names, digests, and what is lacking, before anything is loaded."""

import json
import os
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.localserver import offering
from harness.localserver.hf.recognition import ModelOnDisk, recognise
from harness.localserver.model.weights import weights_digest
from harness.localserver.offering import Names, check_memory, check_names, check_packages, served_model
from tests.localserver.tiny_model import write_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder as far as its files' names go."""
    made = tmp_path / "my-model"
    made.mkdir()
    (made / "config.json").write_text("{}")
    (made / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (made / "notes.md").write_text("not part of the model")
    return made


def test_a_folder_is_known_by_its_files(folder: Path, tmp_path: Path) -> None:
    model = recognise(folder)
    first = served_model(model, Names(), state=tmp_path, embedded=False)
    (folder / "notes.md").write_text("still not")
    again = served_model(model, Names(name="other"), state=tmp_path, embedded=False)
    (folder / "config.json").write_text('{"model_type": "x"}')
    changed = served_model(model, Names(), state=tmp_path, embedded=False)
    assert (first.name, again.name) == ("my-model", "other")
    assert (first.digest, first.fingerprint) == (again.digest, again.fingerprint)
    assert changed.digest != first.digest
    assert changed.fingerprint != first.fingerprint


def test_a_file_is_hashed_again_only_when_it_has_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    real = offering.file_digest
    monkeypatch.setattr(offering, "file_digest", lambda path: hashed.append(path.name) or real(path))  # type: ignore[func-returns-value]
    monkeypatch.setattr(offering, "_HF_ROOMS", ())

    def serve() -> str:
        hashed.clear()
        return served_model(recognise(folder), Names(), state=tmp_path, embedded=False).digest

    first = serve()
    assert hashed == ["config.json", "model.safetensors"]
    assert serve() == first
    assert not hashed
    os.utime(folder / "config.json", ns=(1, 1))
    assert serve() == first
    assert hashed == ["config.json"]
    for spoilt in ("[]", "{", '{"x": 1}'):
        (tmp_path / "model-digests.json").write_text(spoilt)
        assert serve() == first
        assert len(hashed) == 2
    assert set(json.loads((tmp_path / "model-digests.json").read_text())) == {
        str(folder / "config.json"),
        str(folder / "model.safetensors"),
    }


def test_a_gguf_is_known_by_its_own_digest(tmp_path: Path) -> None:
    """As the embedded model always was: fine-tunes of earlier versions stay its own."""
    path = write_tiny_model(tmp_path / "tiny.gguf")
    names = Names(aliases=frozenset({"gpt-4o", "smollm2-135m-instruct"}))
    served = served_model(recognise(path), names, state=tmp_path, embedded=True)
    assert served.digest == weights_digest(path)
    assert served.name == "smollm2-135m-instruct"
    assert served.aliases == {"gpt-4o"}


@pytest.mark.parametrize("name", ["", "a:b", "a/b", ".hidden", "x" * 65, "a\nb", "a b", "ft:x"])
def test_what_cannot_be_a_models_name_is_refused(name: str) -> None:
    check_names(["gpt-4o-mini-2024-07-18", "Qwen3-0.6B", "a_b.c"])
    with pytest.raises(UsageError, match="cannot be the name of a model"):
        check_names(["fine", name])


def test_the_missing_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = recognise(folder)
    check_packages(model)
    monkeypatch.setattr(offering.importlib.util, "find_spec", lambda name: None if name == "peft" else name)
    with pytest.raises(UsageError, match="needs peft, not installed") as caught:
        check_packages(model)
    assert caught.value.remedy == 'python -m pip install "finetune-harness[hf]"'
    check_packages(ModelOnDisk(path=folder, lean=True))


def test_a_folder_too_large_for_the_memory_is_refused_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = b'{"w": {"dtype": "BF16", "shape": [1000, 1000], "data_offsets": [0, 0]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    model = recognise(folder)
    monkeypatch.setattr(offering, "free_main_memory", lambda: 3_000_000)
    check_memory(model, device="cpu")
    monkeypatch.setattr(offering, "free_main_memory", lambda: 2_000_000)
    with pytest.raises(UsageError, match="GB of memory"):
        check_memory(model, device="cpu")
    check_memory(model, device="cuda")


def test_the_server_is_ready_without_heavy_packages(folder: Path) -> None:
    """Recognising a model and telling of it imports neither torch nor transformers."""
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from harness.localserver.offering import *;"
        "from harness.localserver.hf.recognition import recognise;"
        f"served_model(recognise(Path({str(folder)!r})), Names(), state=Path({str(folder.parent)!r}), embedded=False);"
        "print([name for name in ('torch', 'transformers', 'peft', 'gguf') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
