import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.localserver.model import weights
from harness.localserver.state.objects import EMBEDDED_DIGEST, Checkpoint, Hyperparameters, StoredJob
from harness.localserver.state.store import Store, open_store
from tests.localserver.export.test_gguf_model import write_adapter
from tests.localserver.tiny_model import write_tiny_model

FIRST, STEP, SECOND = (
    "ft:tiny:local::aaaaaaaa",
    "ft:tiny:local:shop:bbbbbbbb:ckpt-step-5",
    "ft:tiny:local:shop:cccccccc",
)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with two jobs, the second with a checkpoint, of a tiny model that stands for the embedded one."""
    monkeypatch.chdir(tmp_path)
    model = write_tiny_model(tmp_path / "tiny.gguf")
    monkeypatch.setattr(weights, "ensure_weights", lambda **_: model)
    folder = tmp_path / "state"
    store = open_store(folder)
    keep_job(store, model, steps={10: FIRST})
    keep_job(store, model, steps={5: STEP, 10: SECOND})
    store.close()
    return folder


def keep_job(store: Store, model: Path, *, steps: dict[int, str], base_digest: str = EMBEDDED_DIGEST) -> None:
    number = store.next_number()
    job = StoredJob(
        base_digest=base_digest,
        id=f"ftjob-{number}",
        number=number,
        created_at=number,
        model="tiny",
        training_file="file-1",
        validation_file=None,
        hyperparameters=Hyperparameters(),
        seed=0,
        suffix=None,
        metadata=None,
        status="succeeded",
        checkpoints=tuple(
            Checkpoint(id=f"ftckpt_{step}", created_at=number, step=step, model=name)
            for step, name in steps.items()
        ),
        attempt=1,
    )
    store.keep_job(job)
    for step in steps:
        folder = store.attempt_folder(job) / "checkpoints" / f"step-{step}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_adapter(model, folder, size=0.1 * step)


def test_adapter_is_exported_with_the_command_that_serves_it(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "export", FIRST, "--out", "out", "--state", str(state)]) == 0
    out = state.parent / "out"
    assert capsys.readouterr().out.splitlines() == [
        f"{FIRST}: {out}",
        f"  its base model: {out / 'base'}",
        f"  vllm serve {out / 'base'} --served-model-name tiny --enable-lora --lora-modules {FIRST}={out}",
    ]
    assert (out / "adapter_model.safetensors").is_file()


def test_merged_model_is_told_as_json(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["models", "export", STEP, "--out", "out", "--merged", "--dtype", "float32"]
    assert main([*command, "--state", str(state), "--json"]) == 0
    out = state.parent / "out"
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "model": STEP,
        "folder": str(out),
        "base": None,
        "dtype": "float32",
        "vllm": f"vllm serve {out} --served-model-name {STEP}",
    }
    assert said.err == ""
    assert json.loads((out / "config.json").read_text())["torch_dtype"] == "float32"


def test_latest_is_the_final_model_of_the_newest_job(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "export", "latest", "--out", "out", "--state", str(state), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == SECOND


def test_typo_is_told_the_nearest_name(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "export", FIRST[:-1], "--out", "out", "--state", str(state)]) == 2
    assert f"did you mean '{FIRST}'?" in capsys.readouterr().err


def test_state_folder_without_models_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = tmp_path / "nowhere"
    command = ["models", "export", "latest", "--out", str(tmp_path / "out"), "--state", str(nowhere)]
    assert main(command) == 2
    assert f"{nowhere}: there are no fine-tuned models" in capsys.readouterr().err
    assert not nowhere.exists()


def test_model_that_lies_there_is_replaced_only_by_force(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["models", "export", "latest", "--out", "out", "--state", str(state)]
    assert main(command) == 0
    assert main(command) == 2
    assert "--force replaces it" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0


def test_adapters_share_a_base(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, out in ((FIRST, "first"), (SECOND, "second")):
        command = ["models", "export", name, "--out", out, "--base-out", "base", "--state", str(state)]
        assert main(command) == 0
    assert not Path("second/base").exists()
    assert f"  its base model: {state.parent / 'base'}" in capsys.readouterr().out.splitlines()


def test_merged_model_takes_no_base(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["models", "export", "latest", "--out", "out", "--merged", "--base-out", "base"]
    assert main([*command, "--state", str(state)]) == 2
    assert "a merged model has no base beside it" in capsys.readouterr().err


def test_export_works_while_a_server_uses_the_folder(state: Path) -> None:
    store = open_store(state)
    try:
        assert main(["models", "export", "latest", "--out", "out", "--state", str(state)]) == 0
    finally:
        store.close()


OTHER = "ft:other:local::dddddddd"


@pytest.fixture
def other(state: Path) -> Path:
    """A fine-tune of another model, which is returned."""
    model = write_tiny_model(state.parent / "other.gguf", seed=1)
    store = open_store(state)
    keep_job(store, model, steps={10: OTHER}, base_digest=weights.weights_digest(model))
    store.close()
    return model


def test_fine_tune_of_another_model_needs_that_model(
    state: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["models", "export", OTHER, "--out", "out", "--state", str(state)]
    assert main(command) == 2
    assert "--base names its folder or GGUF file" in capsys.readouterr().err
    assert main([*command, "--base", str(other)]) == 0
    assert (state.parent / "out" / "base" / "model.safetensors").is_file()


def test_other_weights_are_not_taken_for_the_base(
    state: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = write_tiny_model(state.parent / "wrong.gguf", seed=2)
    command = ["models", "export", OTHER, "--out", "out", "--state", str(state), "--base", str(wrong)]
    assert main(command) == 2
    assert "these are not the weights" in capsys.readouterr().err
    assert not Path("out").exists()


def test_state_folder_that_cannot_be_written_is_told(
    state: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "model-digests.json").mkdir()  # where the digests would be written
    command = ["models", "export", OTHER, "--out", "out", "--state", str(state), "--base", str(other)]
    assert main(command) == 1
    assert "the state folder writable" in capsys.readouterr().err
