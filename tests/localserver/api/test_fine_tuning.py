"""`/v1/fine_tuning/jobs`: what can be asked for, what is refused, and in which words."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.localserver.jobs import queue
from harness.localserver.jobs.validation import prepare
from tests.localserver import fake_trainer
from tests.localserver.api.exchanges import envelope
from tests.localserver.fakes import BASE, Server, preference_rows, running_server, training_rows

JOBS = "/v1/fine_tuning/jobs"
WANDB = [{"type": "wandb", "wandb": {"project": "x"}}]


def job(server: Server, **changes: object) -> dict[str, object]:
    file = server.upload(training_rows(1))  # a job by mistake made of it would fail at once
    return {"model": BASE.name, "training_file": file.id} | changes


def supervised(**values: object) -> dict[str, object]:
    return {"method": {"type": "supervised", "supervised": {"hyperparameters": values}}}


def dpo(**values: object) -> dict[str, object]:
    return {"method": {"type": "dpo", "dpo": {"hyperparameters": values}}}


# --- what is refused ---


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": "gpt-9"}, "model", "model_not_available"),
        ({"model": "gpt-4.1-mini"}, "model", "model_not_available"),
        ({"model": 7}, "model", "invalid_type"),
        ({"training_file": None}, "training_file", "missing_required_parameter"),
        ({"training_file": "file-nothing"}, "training_file", None),
        ({"training_file": "../../lock"}, "training_file", None),
        ({"training_file": ["file-nothing"]}, "training_file", "invalid_type"),
        ({"validation_file": "file-nothing"}, "validation_file", None),
        ({"suffix": "x" * 65}, "suffix", "string_above_max_length"),
        ({"suffix": ""}, "suffix", "empty_string"),
        ({"suffix": 7}, "suffix", "invalid_type"),
        ({"seed": -1}, "seed", "integer_below_min_value"),
        ({"seed": 2**31}, "seed", "integer_above_max_value"),
        ({"seed": 1.5}, "seed", "invalid_type"),
        ({"seed": True}, "seed", "invalid_type"),
        ({"integrations": WANDB}, "integrations", "unsupported_parameter"),
        ({"integrations": {}}, "integrations", "invalid_type"),
        ({"integrations": "wandb"}, "integrations", "invalid_type"),
        ({"metadata": "x"}, "metadata", "invalid_type"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata", "object_above_max_properties"),
        ({"metadata": {"k" * 65: ""}}, "metadata", "string_above_max_length"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k", "string_above_max_length"),
        ({"metadata": {"k": 1}}, "metadata.k", "invalid_type"),
        ({"metadata": {"k": None}}, "metadata.k", "invalid_type"),
        ({"hyperparameters": []}, "hyperparameters", "invalid_type"),
        ({"hyperparameters": {"prompt_loss": 1}}, "hyperparameters.prompt_loss", "unknown_parameter"),
        ({"hyperparameters": {"beta": 0.1}}, "hyperparameters.beta", "unknown_parameter"),
        ({"method": {"type": "wishful"}}, "method.type", "invalid_value"),
        ({"method": {"type": "reinforcement"}}, "method.type", "unsupported_value"),
        ({"method": {"type": "reinforcement", "reinforcement": {}}}, "method.type", "unsupported_value"),
        ({"method": {"supervised": {}}}, "method.type", "missing_required_parameter"),
        ({"method": {"type": "supervised", "dpo": {}}}, "method.dpo", "unknown_parameter"),
        ({"method": {"type": "dpo", "supervised": {}}}, "method.supervised", "unknown_parameter"),
        ({"method": {"type": "dpo", "dpo": {"beta": 0.1}}}, "method.dpo.beta", "unknown_parameter"),
        ({"method": {"type": "dpo", "dpo": []}}, "method.dpo", "invalid_type"),
        ({"method": []}, "method", "invalid_type"),
        (supervised(beta=0.1), "method.supervised.hyperparameters.beta", "unknown_parameter"),
        (
            supervised(n_epochs=1) | {"hyperparameters": {"n_epochs": 2}},
            "hyperparameters",
            "invalid_parameter_combination",
        ),
        ({"modle": "x"}, "modle", "unknown_parameter"),
    ],
)
def test_a_job_that_cannot_be_is_refused(
    shared: Server, changes: dict[str, object], param: str, code: str | None
) -> None:
    before = shared.get(JOBS)[1]["data"]
    status, answer = shared.post(JOBS, job(shared, **changes))
    error = envelope(answer)
    assert (status, error["param"], error["code"]) == (400, param, code)
    assert shared.get(JOBS)[1]["data"] == before


@pytest.mark.parametrize(
    ("key", "value", "what", "code"),
    [
        (
            "n_epochs",
            0,
            "integer below minimum value. Expected a value >= 1, but got 0",
            "integer_below_min_value",
        ),
        (
            "n_epochs",
            51,
            "integer above maximum value. Expected a value <= 50, but got 51",
            "integer_above_max_value",
        ),
        (
            "n_epochs",
            10**400,
            "integer above maximum value. Expected a value <= 50",
            "integer_above_max_value",
        ),
        ("n_epochs", "many", "expected an integer or 'auto', but got a string", "invalid_type"),
        (
            "batch_size",
            257,
            "integer above maximum value. Expected a value <= 256",
            "integer_above_max_value",
        ),
        ("batch_size", 1.5, "expected an integer, but got a decimal", "invalid_type"),
        ("batch_size", True, "expected an integer, but got a boolean", "invalid_type"),
        (
            "learning_rate_multiplier",
            0,
            "decimal below minimum value. Expected a value > 0, but got 0",
            "decimal_below_min_value",
        ),
        ("learning_rate_multiplier", -1, "decimal below minimum value", "decimal_below_min_value"),
        ("learning_rate_multiplier", 5e-324, "decimal below minimum value", "decimal_below_min_value"),
        ("learning_rate_multiplier", 10**400, "decimal above maximum value", "decimal_above_max_value"),
        ("learning_rate_multiplier", "fast", "expected a decimal or 'auto'", "invalid_type"),
        ("beta", 0.0, "decimal below minimum value. Expected a value > 0", "decimal_below_min_value"),
        ("beta", 2.01, "decimal above maximum value. Expected a value <= 2.0", "decimal_above_max_value"),
        ("beta", "strong", "expected a decimal or 'auto'", "invalid_type"),
    ],
)
def test_hyperparameters_have_openais_bounds(
    shared: Server, key: str, value: object, what: str, code: str
) -> None:
    places = {"method.dpo.hyperparameters": dpo(**{key: value})}
    if key != "beta":
        places["method.supervised.hyperparameters"] = supervised(**{key: value})
        places["hyperparameters"] = {"hyperparameters": {key: value}}
    for place, changes in places.items():
        status, answer = shared.post(JOBS, job(shared, **changes))
        error = envelope(answer)
        assert (status, error["param"], error["code"]) == (400, f"{place}.{key}", code)
        assert what in error["message"]


def test_infinity_is_no_learning_rate(shared: Server) -> None:
    body = json.dumps(job(shared, hyperparameters={"learning_rate_multiplier": "RATE"}))
    status, answer = shared.post(JOBS, body.replace('"RATE"', "1e999"))
    assert (status, envelope(answer)["param"]) == (400, "hyperparameters.learning_rate_multiplier")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"method": {"type": "reinforcement"}},
            (
                "Unsupported value: 'method.type' does not support 'reinforcement' with this model. Supported values are: "
                "'supervised' and 'dpo'."
            ),
        ),
        (
            {"method": {"type": "wishful"}},
            "Invalid value: 'wishful'. Supported values are: 'supervised', 'dpo', and 'reinforcement'.",
        ),
        (
            {"integrations": WANDB},
            "Unsupported parameter: 'integrations' is not supported with this model. Follow the job's events instead.",
        ),
        (
            {"model": "gpt-9"},
            "Model gpt-9 is not available for fine-tuning or does not exist. This server trains `tiny-base`.",
        ),
        ({"training_file": "file-x"}, "invalid training_file: file-x"),
    ],
)
def test_what_is_refused_is_refused_in_clear_words(
    shared: Server, changes: dict[str, object], message: str
) -> None:
    assert envelope(shared.post(JOBS, job(shared, **changes))[1])["message"] == message


def test_a_file_for_another_purpose_is_no_training_file(shared: Server) -> None:
    file = shared.upload(training_rows(), purpose="batch")
    status, answer = shared.post(JOBS, {"model": BASE.name, "training_file": file.id})
    assert (status, envelope(answer)["param"]) == (400, "training_file")


def test_closed_training_refuses_jobs_as_openai_does_and_serves_on(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        done = server.wait(server.train())
        waiting = server.train(seed=fake_trainer.WAITS)
        server.wait(waiting, "running")
    with running_server(tmp_path, training_closed=True) as server:
        file = server.upload(training_rows())
        with pytest.raises(openai.PermissionDeniedError) as caught:
            server.client.fine_tuning.jobs.create(model=BASE.name, training_file=file.id)
        assert (caught.value.code, caught.value.type) == ("training_not_available", "invalid_request_error")
        assert server.client.models.retrieve(done.fine_tuned_model or "").id == done.fine_tuned_model
        assert server.wait(waiting).status == "succeeded"  # what was confirmed before is kept


# --- what is taken ---


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}),
        (
            {"hyperparameters": {"n_epochs": 3, "batch_size": None}},
            {"n_epochs": 3, "batch_size": "auto", "learning_rate_multiplier": "auto"},
        ),
        (
            supervised(n_epochs=50, batch_size=256, learning_rate_multiplier=0.5) | {"hyperparameters": None},
            {"n_epochs": 50, "batch_size": 256, "learning_rate_multiplier": 0.5},
        ),
        (
            {"method": {"type": "supervised"}, "hyperparameters": {"n_epochs": 2.0}},
            {"n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": "auto"},
        ),
    ],
)
def test_a_supervised_job_shows_its_hyperparameters_in_both_places(
    shared: Server, changes: dict[str, object], expected: Mapping[str, object]
) -> None:
    status, answer = shared.post(JOBS, job(shared, **changes))
    assert status == 200
    assert answer["hyperparameters"] == expected
    assert answer["method"] == {"type": "supervised", "supervised": {"hyperparameters": expected}}


@pytest.mark.parametrize(
    ("changes", "beta", "epochs"),
    [
        ({"method": {"type": "dpo"}}, "auto", "auto"),
        ({"method": {"type": "dpo", "dpo": {}}}, "auto", "auto"),
        (dpo(beta="auto", n_epochs=2), "auto", 2),
        (dpo(beta=0.3), 0.3, "auto"),
        (dpo(beta=2), 2, "auto"),
        ({"method": {"type": "dpo"}, "hyperparameters": {"beta": 0.2, "n_epochs": 4}}, 0.2, 4),
    ],
)
def test_a_dpo_job_shows_them_in_its_method_alone(
    shared: Server, changes: dict[str, object], beta: object, epochs: object
) -> None:
    status, answer = shared.post(JOBS, job(shared, **changes))
    assert status == 200
    assert answer["hyperparameters"] is None
    assert answer["method"] == {
        "type": "dpo",
        "dpo": {
            "hyperparameters": {
                "n_epochs": epochs,
                "batch_size": "auto",
                "learning_rate_multiplier": "auto",
                "beta": beta,
            }
        },
    }


def test_auto_becomes_numbers_once_the_file_is_read(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        plain = server.wait(server.train())
        preferences = server.wait(server.train(preference_rows(), method={"type": "dpo"}))
        shown = [server.get(f"{JOBS}/{done.id}")[1] for done in (plain, preferences)]
    numbers = {"n_epochs": 8, "batch_size": 4, "learning_rate_multiplier": 1.0}
    assert shown[0]["hyperparameters"] == numbers
    assert shown[1]["method"]["dpo"]["hyperparameters"] == numbers | {"beta": 0.1}


@pytest.mark.parametrize("value", [None, []])
def test_no_integrations_are_no_matter(shared: Server, value: object) -> None:
    status, answer = shared.post(JOBS, job(shared, integrations=value))
    assert (status, answer["integrations"]) == (200, [])


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_a_seed_is_shown_as_it_was_chosen(shared: Server, seed: int) -> None:
    assert shared.post(JOBS, job(shared, seed=seed))[1]["seed"] == seed


@pytest.mark.parametrize(
    ("suffix", "named"),
    [
        ("HistoryGPT", "historygpt"),
        ("v1.2_final-3", "v1.2_final-3"),
        ("My model: v2/a", "my-model-v2-a"),
        ("客服", ""),
        (None, ""),
        ("x" * 64, "x" * 64),
    ],
)
def test_a_suffix_is_kept_as_given_and_made_fit_for_a_name(
    server: Server, suffix: str | None, named: str
) -> None:
    done = server.wait(server.train(suffix=suffix, hyperparameters={"n_epochs": 1}))
    assert server.get(f"{JOBS}/{done.id}")[1]["user_provided_suffix"] == suffix
    kind, base, organisation, shown, own = (done.fine_tuned_model or "").split(":")
    assert (kind, base, organisation, shown) == ("ft", BASE.name, "local", named)
    assert len(own) == 8


# --- lists ---


def test_jobs_are_listed_newest_first_in_pages(server: Server) -> None:
    jobs = [server.train(seed=number) for number in range(5)]
    newest_first = [made.id for made in jobs][::-1]
    assert [made.id for made in server.client.fine_tuning.jobs.list(limit=2)] == newest_first
    first = server.get(f"{JOBS}?limit=2")[1]
    assert (set(first), first["object"], first["has_more"]) == ({"object", "data", "has_more"}, "list", True)
    last = server.get(f"{JOBS}?limit=3&after={first['data'][-1]['id']}")[1]
    assert [made["id"] for made in last["data"]] == newest_first[2:]
    assert last["has_more"] is False


def test_jobs_are_found_by_their_metadata(server: Server) -> None:
    both = server.train(metadata={"team": "a", "run": "1"})
    one = server.train(metadata={"team": "a"})
    none = server.train()
    jobs = server.client.fine_tuning.jobs

    def found(**metadata: str) -> list[str]:
        return [made.id for made in jobs.list(metadata=metadata)]

    assert found(team="a") == [one.id, both.id]
    assert found(team="a", run="1") == [both.id]
    assert found(team="b") == found(other="a") == []
    assert [made["id"] for made in server.get(f"{JOBS}?metadata=null")[1]["data"]] == [none.id]
    assert len(found()) == 3


def test_events_are_listed_newest_first_in_pages(server: Server) -> None:
    done = server.wait(server.train(hyperparameters={"n_epochs": 8, "batch_size": 4}))
    events = server.client.fine_tuning.jobs.list_events
    page = server.get(f"{JOBS}/{done.id}/events")[1]
    assert (len(page["data"]), page["has_more"]) == (20, True)
    assert page["data"][0]["message"] == "The job has successfully completed"
    everything = list(events(done.id, limit=7))
    assert len({event.id for event in everything}) == len(everything) == 4 + 24 + 7 + 2
    assert everything[-1].message == f"Created fine-tuning job: {done.id}"
    started = next(event for event in everything if event.message == "Fine-tuning job started")
    assert (started.data, everything[0].data) == (None, {})


def test_checkpoints_are_listed_newest_first_in_pages_with_their_ends(server: Server) -> None:
    validation = server.upload(training_rows(2, start=90))
    done = server.wait(
        server.train(validation_file=validation.id, hyperparameters={"n_epochs": 12, "batch_size": 12})
    )
    path = f"{JOBS}/{done.id}/checkpoints"
    page = server.get(path)[1]
    assert [entry["step_number"] for entry in page["data"]] == list(range(12, 2, -1))
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
    assert page["has_more"] is True
    rest = server.get(f"{path}?after={page['last_id']}")[1]
    assert [entry["step_number"] for entry in rest["data"]] == [2, 1]
    newest = page["data"][0]
    assert newest["fine_tuned_model_checkpoint"] == done.fine_tuned_model
    assert newest["metrics"] == {
        "step": 12,
        "train_loss": 2 / 12,
        "train_mean_token_accuracy": 1 - 1 / 13,
        "full_valid_loss": 1 / 12,
        "full_valid_mean_token_accuracy": 0.75,
    }
    assert "valid_loss" in page["data"][1]["metrics"]
    ids = [entry["id"] for entry in (*page["data"], *rest["data"])]
    names = [entry["fine_tuned_model_checkpoint"] for entry in (*page["data"], *rest["data"])]
    assert len(set(ids)) == 12
    assert all(name.startswith("ftckpt_") for name in ids)
    assert len({name.split(":")[4] for name in names}) == 12
    assert [name.rpartition(":")[2] for name in names[1:]] == [
        f"ckpt-step-{step}" for step in range(11, 0, -1)
    ]


def test_a_job_without_checkpoints_has_an_empty_list(shared: Server) -> None:
    made = shared.post(JOBS, job(shared))[1]
    assert shared.get(f"{JOBS}/{made['id']}/checkpoints")[1] == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


@pytest.mark.parametrize("path", ["", "/{}/events", "/{}/checkpoints"])
@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=10001", "limit=ten", "after=nothing"])
def test_a_page_that_cannot_be_is_refused(shared: Server, path: str, query: str) -> None:
    made = shared.post(JOBS, job(shared))[1]
    status, answer = shared.get(f"{JOBS}{path.format(made['id'])}?{query}")
    assert (status, envelope(answer)["param"]) == (400, query.partition("=")[0])


# --- ends ---


def test_an_unfinished_job_can_be_cancelled_in_every_state(server: Server) -> None:
    running = server.train(seed=fake_trainer.WAITS)
    server.wait(running, "running")
    queued, paused = server.train(), server.train()
    for waiting in (queued, paused):
        server.wait(waiting, "queued")
    server.client.fine_tuning.jobs.pause(paused.id)
    validating = server.train()
    for unfinished in (validating, paused, queued, running):
        cancelled = server.client.fine_tuning.jobs.cancel(unfinished.id)
        assert (cancelled.status, cancelled.error, cancelled.fine_tuned_model) == ("cancelled", None, None)
        assert cancelled.finished_at
        assert server.events(unfinished)[-1].message == "Fine-tuning job cancelled"
    assert server.wait(server.train()).status == "succeeded"
    assert server.client.fine_tuning.jobs.retrieve(validating.id).status == "cancelled"


def test_a_job_whose_files_are_being_read_can_be_neither_paused_nor_resumed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def read_later(*given: Any, **named: Any) -> Any:
        asked.wait(30)
        return prepare(*given, **named)

    monkeypatch.setattr(queue, "prepare", read_later)
    made = server.train()
    for wish in ("pause", "resume"):
        status, answer = server.post(f"{JOBS}/{made.id}/{wish}", b"")
        assert (status, envelope(answer)["code"]) == (400, "invalid_job_status")
        assert "its status is 'validating_files'" in answer["error"]["message"]
    asked.set()
    assert server.wait(made).status == "succeeded"


@pytest.mark.parametrize("body", [b"", b"{}", b"nonsense", b"\xff" * 1000])
@pytest.mark.parametrize("wish", ["pause", "resume", "cancel"])
def test_the_body_of_a_wish_is_not_read(shared: Server, wish: str, body: bytes) -> None:
    made = shared.post(JOBS, job(shared))[1]
    status, answer = shared.post(f"{JOBS}/{made['id']}/{wish}", body)
    assert status in {200, 400}
    assert "parse" not in json.dumps(answer)


# --- anything ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NUMBERS = st.dictionaries(
    st.sampled_from(["n_epochs", "batch_size", "learning_rate_multiplier", "beta", "x"]), JSON, max_size=3
)
METHODS = st.fixed_dictionaries(
    {"type": st.sampled_from(["supervised", "dpo", "reinforcement"]) | JSON},
    optional={
        "supervised": st.fixed_dictionaries({"hyperparameters": NUMBERS}) | JSON,
        "dpo": st.fixed_dictionaries({"hyperparameters": NUMBERS}) | JSON,
    },
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "model": JSON,
        "training_file": JSON,
        "validation_file": JSON,
        "suffix": JSON,
        "seed": JSON,
        "integrations": JSON,
        "metadata": JSON,
        "hyperparameters": NUMBERS | JSON,
        "method": METHODS | JSON,
    },
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_whatever_is_asked_for_is_refused_with_words(shared: Server, changes: dict[str, object]) -> None:
    status, answer = shared.post(JOBS, {"model": BASE.name, "training_file": "file-nothing"} | changes)
    assert status == 400
    envelope(answer)
