"""Who an estimate counts with: the seats as planned, and those of the local server as the last run had them."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import ModelSettings, Settings, TrainingSettings
from harness.evals.store import SCHEMA
from harness.lineup import expected_seats
from harness.records import Manifest, ModelFacts, TrainingJob
from harness.serial import file_digest, to_json

LABEL = "local:abc"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    train = tmp_path / "train.jsonl"
    train.write_text('{"messages": []}\n', encoding="utf-8")
    return Settings(root=tmp_path, train=Path("train.jsonl"), training=TrainingSettings(epochs=3))


def store(settings: Settings, *, name: str = "r1", endpoint: str = LABEL, epochs: int = 3) -> None:
    """A run that trained its candidate on the settings' file."""
    folder = settings.path(settings.reports) / name
    folder.mkdir(parents=True)
    manifest = Manifest(
        schema=SCHEMA,
        id=name,
        status="complete",
        created="2026-11-23T10:00:00Z",
        suites=(),
        models={
            "candidate": ModelFacts(model="ft:small:1", endpoint=endpoint),
            "base": ModelFacts(model="small", endpoint=endpoint),
        },
        selected={},
        plan="p",
        job=TrainingJob(id="j", status="succeeded", model="small", hyperparameters={"n_epochs": epochs}),
        data={"train.jsonl": file_digest(settings.path(Path("train.jsonl")))},
    )
    (folder / "manifest.json").write_text(to_json(manifest), encoding="utf-8")


def seats(settings: Settings) -> dict[str, tuple[str, str]]:
    return {role: (seat.model, seat.endpoint.label) for role, seat in expected_seats(settings, {}).items()}


def test_without_a_run_the_model_is_still_to_be_trained_on_a_server_without_a_name(
    settings: Settings,
) -> None:
    found = seats(settings)
    assert found["candidate"] == ("smollm2-135m-instruct, fine-tuned first", "")
    assert found["base"] == ("smollm2-135m-instruct", "")


def test_a_run_on_the_same_files_tells_the_model_and_the_label(settings: Settings) -> None:
    store(settings)
    assert seats(settings) == {"candidate": ("ft:small:1", LABEL), "base": ("small", LABEL)}


def test_other_files_or_epochs_train_another_model_of_the_same_server(settings: Settings) -> None:
    store(settings)
    expected = {"candidate": ("smollm2-135m-instruct, fine-tuned first", LABEL), "base": ("small", LABEL)}
    assert seats(replace(settings, training=TrainingSettings(epochs=5))) == expected
    settings.path(Path("train.jsonl")).write_text('{"messages": [1]}\n', encoding="utf-8")
    assert seats(settings) == expected


def test_a_run_on_another_endpoint_and_one_that_cannot_be_read_tell_nothing(settings: Settings) -> None:
    store(settings, endpoint="openai")
    damaged = settings.path(settings.reports) / "r2"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{", encoding="utf-8")
    assert seats(settings)["base"] == ("smollm2-135m-instruct", "")


def test_configured_endpoints_are_labelled_as_their_answers_are_stored(tmp_path: Path) -> None:
    table = ModelSettings(model="acme/one", base_url="http://user:secret@127.0.0.1:9/v1")
    settings = Settings(root=tmp_path, candidate="one", base="gpt-4.1-mini", models={"one": table})
    assert seats(settings) == {
        "candidate": ("acme/one", "http://127.0.0.1:9/v1"),
        "base": ("gpt-4.1-mini", "openai"),
    }
