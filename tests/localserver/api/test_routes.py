import json

import pytest

from tests.localserver.api.exchanges import envelope
from tests.localserver.fakes import BASE, Server, training_rows

CHAT = "/v1/chat/completions"
JOBS = "/v1/fine_tuning/jobs"
HELLO = [{"role": "user", "content": "hello"}]


def job(server: Server, **changes: object) -> dict[str, object]:
    file = server.upload(training_rows(1))  # a job by mistake made of it would fail at once
    return {"model": BASE.name, "training_file": file.id} | changes


# --- whatever is asked ---


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "unknown_url"),
        ("GET", "/v1/files/", 404, "unknown_url"),
        ("POST", "/v1/embeddings", 404, "unknown_url"),
        ("PUT", "/v1/files", 405, "method_not_supported"),
        ("POST", "/v1/models", 405, "method_not_supported"),
        ("GET", "/v1/files/file-nothing", 404, None),
        ("DELETE", "/v1/files/..%2F..%2Flock", 404, "unknown_url"),
        ("GET", "/v1/files/file-nothing/content", 404, None),
        ("GET", f"{JOBS}/ftjob-nothing", 404, "fine_tune_not_found"),
        ("POST", f"{JOBS}/ftjob-nothing/cancel", 404, "fine_tune_not_found"),
        ("GET", f"{JOBS}/ftjob-nothing/events", 404, "fine_tune_not_found"),
        ("GET", f"{JOBS}/ftjob-nothing/checkpoints", 404, "fine_tune_not_found"),
        ("GET", "/v1/models/gpt-9", 404, "model_not_found"),
        ("DELETE", "/v1/models/ft:gpt-9:x::y", 404, "model_not_found"),
        ("DELETE", f"/v1/models/{BASE.name}", 403, "insufficient_permissions"),
    ],
)
def test_what_is_not_there_is_refused_in_openais_envelope(
    shared: Server, method: str, path: str, status: int, code: str | None
) -> None:
    found, _, body = shared.ask(method, path)
    error = envelope(json.loads(body))
    assert (found, error["code"], error["type"]) == (status, code, "invalid_request_error")


def test_a_wrong_method_says_which_are_right(shared: Server) -> None:
    _, headers, _ = shared.ask("PATCH", "/v1/chat/completions")
    assert headers["allow"] == "POST"


# --- jobs ---


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": "gpt-9"}, "model", "model_not_available"),
        ({"model": 7}, "model", "invalid_type"),
        ({"training_file": None}, "training_file", "missing_required_parameter"),
        ({"training_file": "file-nothing"}, "training_file", None),
        ({"training_file": "../../lock"}, "training_file", None),
        ({"validation_file": "file-nothing"}, "validation_file", None),
        ({"suffix": "x" * 65}, "suffix", "string_above_max_length"),
        ({"suffix": "a:b"}, "suffix", "invalid_value"),
        ({"suffix": "a/b"}, "suffix", "invalid_value"),
        ({"seed": -1}, "seed", "integer_below_min_value"),
        ({"seed": 2**31}, "seed", "integer_above_max_value"),
        ({"seed": True}, "seed", "invalid_type"),
        ({"integrations": [{"type": "wandb"}]}, "integrations", "unsupported_parameter"),
        ({"metadata": "x"}, "metadata", "invalid_type"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata", "object_above_max_properties"),
        ({"metadata": {"k" * 65: ""}}, "metadata", "string_above_max_length"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k", "string_above_max_length"),
        ({"metadata": {"k": 1}}, "metadata.k", "invalid_type"),
        ({"metadata": {"k": None}}, "metadata.k", "invalid_type"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs", "integer_below_min_value"),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs", "integer_above_max_value"),
        ({"hyperparameters": {"n_epochs": 10**400}}, "hyperparameters.n_epochs", "integer_above_max_value"),
        ({"hyperparameters": {"n_epochs": "many"}}, "hyperparameters.n_epochs", "invalid_type"),
        ({"hyperparameters": {"batch_size": 257}}, "hyperparameters.batch_size", "integer_above_max_value"),
        ({"hyperparameters": {"batch_size": 1.5}}, "hyperparameters.batch_size", "invalid_type"),
        ({"hyperparameters": {"prompt_loss": 1}}, "hyperparameters.prompt_loss", "unknown_parameter"),
        ({"method": {"type": "dpo"}}, "method.type", "unsupported_value"),
        ({"method": {"supervised": {}}}, "method.type", "missing_required_parameter"),
        ({"method": {"type": "supervised", "dpo": {}}}, "method.dpo", "unknown_parameter"),
        ({"method": []}, "method", "invalid_type"),
        (
            {"method": {"type": "supervised"}, "hyperparameters": {}},
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


@pytest.mark.parametrize("multiplier", ["0", "-1", "1e999", "5e-324"])
def test_a_rate_that_cannot_be_trained_with_is_refused(shared: Server, multiplier: str) -> None:
    body = json.dumps(job(shared, hyperparameters={"learning_rate_multiplier": "RATE"}))
    status, answer = shared.post(JOBS, body.replace('"RATE"', multiplier))
    assert (status, envelope(answer)["param"]) == (400, "hyperparameters.learning_rate_multiplier")


def test_a_file_for_another_purpose_is_no_training_file(shared: Server) -> None:
    file = shared.upload(training_rows(), purpose="batch")
    status, answer = shared.post(JOBS, {"model": BASE.name, "training_file": file.id})
    assert (status, envelope(answer)["param"]) == (400, "training_file")


def test_jobs_without_metadata_can_be_listed(server: Server) -> None:
    with_metadata, without = server.train(metadata={"a": "b"}), server.train()
    listed = server.get(f"{JOBS}?metadata=null")[1]["data"]
    assert [job["id"] for job in listed] == [without.id]
    assert with_metadata.id not in {job["id"] for job in listed}


@pytest.mark.parametrize("path", ["/v1/models/{}", "/v1/models/{}:ckpt-step-3"])
def test_colons_in_names_may_be_encoded(server: Server, path: str) -> None:
    done = server.wait(server.train(hyperparameters={"n_epochs": 2, "batch_size": 4}))
    names = [model.id for model in server.client.models.list()]
    wanted = next(name for name in names if name.startswith("ft:") and name.endswith(path[13:]))
    for spelled in (wanted, wanted.replace(":", "%3A")):
        assert server.get(f"/v1/models/{spelled}")[1]["id"] == wanted
    assert server.ask("DELETE", f"/v1/models/{wanted.replace(':', '%3A')}")[0] == 200
    assert server.get(f"/v1/models/{wanted}")[0] == 404
    assert done.fine_tuned_model in names
