"""`/v1/models`: which names there are, what they stand for, and which server would serve the others."""

from dataclasses import replace
from pathlib import Path

import openai
import pytest

from harness.localserver.api.models import OPENAI_BASES
from tests.localserver.api.exchanges import envelope
from tests.localserver.fakes import BASE, Server, running_server, training_rows

JOBS = "/v1/fine_tuning/jobs"
ALIASED = replace(BASE, aliases=OPENAI_BASES)
TWO_EPOCHS = {"n_epochs": 2, "batch_size": 4}


def ask(server: Server, model: str) -> tuple[str, str]:
    """The model named in the answer, and the answer."""
    answer = server.client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "hello"}]
    )
    return answer.model, answer.choices[0].message.content or ""


# --- names ---


@pytest.mark.parametrize("ending", ["", ":ckpt-step-3"])
def test_colons_in_names_may_be_encoded(server: Server, ending: str) -> None:
    done = server.wait(server.train(hyperparameters=TWO_EPOCHS))
    names = [model.id for model in server.client.models.list()]
    wanted = next(name for name in names if name.startswith("ft:") and name.endswith(ending))
    for spelled in (wanted, wanted.replace(":", "%3A")):
        assert server.get(f"/v1/models/{spelled}")[1]["id"] == wanted
    assert server.ask("DELETE", f"/v1/models/{wanted.replace(':', '%3A')}")[0] == 200
    assert server.get(f"/v1/models/{wanted}")[0] == 404
    assert done.fine_tuned_model in names


def test_a_name_may_hold_a_slash(tmp_path: Path) -> None:
    with running_server(tmp_path, base=replace(BASE, name="acme/tiny")) as server:
        file = server.upload(training_rows())
        job = server.client.fine_tuning.jobs.create(model="acme/tiny", training_file=file.id)
        tuned = server.wait(job).fine_tuned_model or ""
        assert tuned.startswith("ft:acme/tiny:local::")
        for name in ("acme/tiny", tuned):
            assert server.client.models.retrieve(name).id == name
            assert server.get(f"/v1/models/{name}")[1]["id"] == name
        assert server.client.models.delete(tuned).deleted


def test_the_base_is_listed_first_then_fine_tunes_and_checkpoints_as_they_were_made(server: Server) -> None:
    first = server.wait(server.train(hyperparameters=TWO_EPOCHS))
    second = server.wait(server.train(hyperparameters={"n_epochs": 1}))
    names = [model.id for model in server.client.models.list()]
    assert names[0] == BASE.name
    assert names[1].endswith(":ckpt-step-3")
    assert names[2:] == [first.fine_tuned_model, second.fine_tuned_model]


def test_a_deleted_model_is_gone_for_every_request(server: Server) -> None:
    name = server.wait(server.train()).fine_tuned_model or ""
    server.client.models.delete(name)
    for request in (
        lambda: server.client.models.retrieve(name),
        lambda: server.client.models.delete(name),
        lambda: ask(server, name),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            request()
        assert caught.value.code == "model_not_found"
    assert name not in {model.id for model in server.client.models.list()}


# --- aliases ---


def test_the_names_openai_has_let_people_train_are_dated_and_undated() -> None:
    assert {
        "gpt-3.5-turbo",
        "gpt-3.5-turbo-0613",
        "gpt-4o-mini-2024-07-18",
        "gpt-4.1",
        "davinci-002",
    } < OPENAI_BASES
    assert "o4-mini" not in OPENAI_BASES  # for reinforcement alone


def test_a_script_written_for_openai_finds_the_base_under_its_name(tmp_path: Path) -> None:
    with running_server(tmp_path, base=ALIASED) as server:
        file = server.upload(b'{"prompt": "a", "completion": "b"}\n' * 10)
        job = server.client.fine_tuning.jobs.create(model="gpt-3.5-turbo", training_file=file.id)
        assert job.model == BASE.name
        done = server.wait(job)
        assert (done.fine_tuned_model or "").startswith(f"ft:{BASE.name}:local::")
        assert ask(server, "gpt-3.5-turbo") == (BASE.name, "hello")
        assert server.client.models.retrieve("gpt-4o-mini").id == BASE.name


def test_aliases_are_not_listed_and_cannot_be_deleted(tmp_path: Path) -> None:
    with running_server(tmp_path, base=ALIASED) as server:
        assert [model.id for model in server.client.models.list()] == [BASE.name]
        status, _, _ = server.ask("DELETE", "/v1/models/gpt-4.1-mini")
        assert status == 403


def test_without_aliases_openais_names_stand_for_nothing(shared: Server) -> None:
    with pytest.raises(openai.NotFoundError):
        ask(shared, "gpt-3.5-turbo")
    status, answer = shared.get("/v1/models/gpt-3.5-turbo")
    assert (status, envelope(answer)["code"]) == (404, "model_not_found")


# --- fine-tunes of another base ---


def test_a_fine_tune_is_served_with_the_weights_it_was_trained_from_only(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        name = server.wait(server.train()).fine_tuned_model or ""
    other = replace(BASE, name="other-base", digest="e" * 64)
    with running_server(tmp_path, base=other) as server:
        assert [model.id for model in server.client.models.list()] == ["other-base"]
        for request in (
            lambda: server.client.models.retrieve(name),
            lambda: server.client.models.delete(name),
            lambda: ask(server, name),
        ):
            with pytest.raises(openai.NotFoundError) as caught:
                request()
            assert caught.value.code == "model_not_found"
            assert isinstance(caught.value.body, dict)
            assert caught.value.body["message"] == (
                f"The model `{name}` was trained from `tiny-base`, but this server serves `other-base`. "
                "Start the server with the model `tiny-base` to use it."
            )
        assert server.client.fine_tuning.jobs.list().data[0].fine_tuned_model == name
    with running_server(tmp_path) as server:
        assert ask(server, name) == (name, "step-24 hello")


def test_other_weights_under_the_same_name_are_another_base(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        name = server.wait(server.train()).fine_tuned_model or ""
    with running_server(tmp_path, base=replace(BASE, digest="e" * 64)) as server:
        assert server.get(f"/v1/models/{name}")[0] == 404
