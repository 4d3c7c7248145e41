"""The commands against the local server itself, whose trainer alone is a stand-in."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli import main
from harness.training import follow_job
from tests.localserver.fakes import BASE, Server, running_server, training_rows


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.chdir(tmp_path)
    assert follow_job.__kwdefaults__ is not None
    monkeypatch.setitem(follow_job.__kwdefaults__, "poll_s", 0.02)
    (tmp_path / "train.jsonl").write_bytes(training_rows(12))
    (tmp_path / "valid.jsonl").write_bytes(training_rows(3, start=50))
    with running_server(tmp_path / "state") as running:
        yield running


def ask(server: Server, *arguments: str) -> int:
    return main([*arguments, "--base-url", server.base_url])


def test_whole_life_of_a_job(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    train = (
        "train",
        "train.jsonl",
        "--valid",
        "valid.jsonl",
        "--model",
        BASE.name,
        "--epochs",
        "2",
        "--seed",
        "1",
    )
    assert ask(server, *train, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    job, model = told["job"]["id"], told["job"]["fine_tuned_model"]
    assert (told["job"]["status"], told["place"]) == ("succeeded", server.base_url)
    assert told["job"]["trained_tokens"] > 0
    assert told["job"]["digest"] == server.client.fine_tuning.jobs.retrieve(job).metadata["harness_digest"]

    assert ask(server, *train) == 0
    assert f"{model} is reused" in capsys.readouterr().out
    assert len(list(server.client.fine_tuning.jobs.list())) == 1
    assert sum(file.purpose == "fine-tune" for file in server.client.files.list()) == 2

    for action in ("show", "events", "metrics", "checkpoints"):
        assert ask(server, "jobs", action, job) == 0
    said = capsys.readouterr().out
    for words in (f"{job}: succeeded", "The job has successfully completed", "step,train_loss", "ckpt-step-"):
        assert words in said

    assert ask(server, "models", "delete", model, "--yes") == 0
    assert ask(server, *train) == 0, "a model that is gone is trained anew"
    assert len(list(server.client.fine_tuning.jobs.list())) == 2


def test_job_is_left_and_cancelled(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    # Long enough that it cannot end before it is cancelled, on a busy machine either.
    long = ("train", "train.jsonl", "--model", BASE.name, "--epochs", "50")
    assert ask(server, *long, "--no-wait") == 0
    assert ask(server, "jobs", "cancel", "latest") == 0
    assert "is cancelled" in capsys.readouterr().out
    assert ask(server, "jobs", "show", "latest") == 1


def test_base_the_server_does_not_have_is_its_failure(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(server, "train", "train.jsonl", "--model", "gpt-0") == 3
    assert "gpt-0" in capsys.readouterr().err
