"""What an endpoint's list of models tells of their last days, and that nothing else comes of asking."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from harness.models import shutdown_dates
from harness.models.shutdowns import read_shutdown_dates
from harness.records import Endpoint
from harness.testing import FaultyEndpoint


def listed(*models: object) -> str:
    return json.dumps({"object": "list", "data": models})


def test_openai_tells_a_shutdown_date() -> None:
    text = listed(
        {"id": "gpt-4.1-mini-2025-04-14", "object": "model", "shutdown_date": "2027-01-14"},
        {"id": "gpt-6", "object": "model", "shutdown_date": None},
        {"id": "older", "object": "model"},
    )
    assert read_shutdown_dates(text) == {"gpt-4.1-mini-2025-04-14": "2027-01-14"}


def test_a_time_of_day_is_cut_off() -> None:
    assert read_shutdown_dates(listed({"id": "m", "shutdown_date": "2027-01-14T08:00:00Z"})) == {
        "m": "2027-01-14"
    }


def test_azure_tells_seconds() -> None:
    text = listed({"id": "gpt-4o", "deprecation": {"fine_tune": 1767225600, "inference": 1799884800}})
    assert read_shutdown_dates(text) == {"gpt-4o": "2027-01-14"}


def test_a_bare_list_is_read_too() -> None:
    assert read_shutdown_dates(json.dumps([{"id": "m", "shutdown_date": "2027-01-14"}])) == {
        "m": "2027-01-14"
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>Welcome</html>",
        "null",
        "7",
        "[" * 100_000,
        '{"data": {"id": "m"}}',
        listed(None, 7, "m", []),
        listed({"id": 7, "shutdown_date": "2027-01-14"}),
        listed({"id": "m", "shutdown_date": "soon"}),
        listed({"id": "m", "shutdown_date": 20270114}),
        listed({"id": "m", "deprecation": {"inference": 10**30}}),
        listed({"id": "m", "deprecation": {"inference": True}}),
        listed({"id": "m", "deprecation": "2027-01-14"}),
    ],
)
def test_whatever_else_comes_tells_nothing(text: str) -> None:
    assert read_shutdown_dates(text) == {}


def test_one_call_is_made() -> None:
    with FaultyEndpoint(models=[{"id": "m", "shutdown_date": "2027-01-14"}]) as endpoint:
        told = shutdown_dates(Endpoint(label="test", base_url=endpoint.base_url, api_key="k"))
        assert (told, endpoint.listings) == ({"m": "2027-01-14"}, 1)


def test_an_endpoint_that_does_not_answer_tells_nothing() -> None:
    with FaultyEndpoint() as endpoint:
        gone = endpoint.base_url
    assert shutdown_dates(Endpoint(label="gone", base_url=gone, api_key="k")) == {}


def test_an_endpoint_that_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/v1"
        assert shutdown_dates(Endpoint(label="mute", base_url=url, api_key="k"), limit_s=0.05) == {}


def test_a_list_that_is_not_there_is_asked_for_once() -> None:
    with FaultyEndpoint() as endpoint:
        missing = endpoint.base_url.replace("/v1", "/v1/elsewhere/models-of-another")
        assert shutdown_dates(Endpoint(label="test", base_url=missing, api_key="k")) == {}


def test_proxy_settings_that_let_no_client_be_made_are_no_trouble_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "::bad")
    assert shutdown_dates(Endpoint(label="test", base_url="http://127.0.0.1:9/v1", api_key="k")) == {}


def test_a_redirect_is_not_followed_with_the_key() -> None:
    with FaultyEndpoint(models=[{"id": "m", "shutdown_date": "2027-01-14"}]) as elsewhere:

        class Redirect(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(302)
                self.send_header("Location", f"{elsewhere.base_url}/models")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with HTTPServer(("127.0.0.1", 0), Redirect) as server:
            threading.Thread(target=server.handle_request, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}/v1"
            assert shutdown_dates(Endpoint(label="test", base_url=url, api_key="k")) == {}
        assert elsewhere.listings == 0
