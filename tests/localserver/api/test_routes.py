import json

import pytest

from tests.localserver.api.exchanges import envelope
from tests.localserver.fakes import BASE, Server

JOBS = "/v1/fine_tuning/jobs"


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
        ("POST", f"{JOBS}/ftjob-nothing/pause", 404, "fine_tune_not_found"),
        ("POST", f"{JOBS}/ftjob-nothing/resume", 404, "fine_tune_not_found"),
        ("GET", f"{JOBS}/..%2F..%2Flock", 404, "unknown_url"),
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
