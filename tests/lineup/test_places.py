from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness import localserver
from harness.config import EMBEDDED_MODEL, ModelSettings, Settings
from harness.dataset import Price
from harness.errors import EndpointError, UsageError
from harness.lineup import PlacePlan, embedded, ledger_of, local_place, open_place, place_named, plan_place
from harness.localserver import Address

ACME = ModelSettings(
    model="acme/base", base_url="https://acme.example/v1", api_key_env="ACME_KEY", price=Price(train=5.0)
)
TABLES = {"acme": ACME, "other": ModelSettings(model="gpt-4.1", price=Price(train=9.0))}
RUNNING = Address(base_url="http://127.0.0.1:8000/v1", model=EMBEDDED_MODEL, weights="w", lasting=True)


class Silence:
    def __init__(self) -> None:
        self.told: list[str] = []

    def say(self, text: str) -> None: ...

    def progress(self, text: str) -> None:
        self.told.append(text)


class Server:
    """What `localserver.start` gives, with a life that can be looked at."""

    base_url, model, weights = "http://127.0.0.1:9/v1", EMBEDDED_MODEL, "w"

    def __init__(self) -> None:
        self.running = False

    def __enter__(self) -> "Server":
        self.running = True
        return self

    def __exit__(self, *_: object) -> None:
        self.running = False


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    monkeypatch.setattr(localserver, "start", lambda _state, on_event: made)
    monkeypatch.setattr(localserver, "running_server", lambda _: None)
    yield made
    assert not made.running


@pytest.mark.parametrize(
    ("settings", "base", "name", "model", "train"),
    [
        (Settings(), None, "local", EMBEDDED_MODEL, None),
        (Settings(), "gpt-4.1", "openai", "gpt-4.1", 9.0),
        (Settings(), "acme", "acme", "acme/base", 5.0),
        (Settings(base="acme"), None, "acme", "acme/base", 5.0),
        (Settings(backend="acme"), None, "acme", "acme/base", 5.0),
        (Settings(backend="acme"), "acme/large", "acme", "acme/large", None),
        (Settings(backend="openai"), None, "openai", None, None),
        (Settings(backend="openai"), "gpt-4.1-mini", "openai", "gpt-4.1-mini", None),
        (Settings(base_url="https://me:pw@x.example/v1?key=k"), "m", "https://x.example/v1", "m", None),
    ],
)
def test_job_is_made_where_its_base_is(
    settings: Settings, base: str | None, name: str, model: str | None, train: float | None
) -> None:
    plan = plan_place(replace(settings, models=TABLES), {}, base=base)
    assert (plan.name, plan.model, plan.price.train) == (name, model, train)


@pytest.mark.parametrize("name", ["local", "openai", "acme"])
def test_place_is_found_again_by_its_name(name: str) -> None:
    assert place_named(Settings(models=TABLES, backend="other"), name, {}).name == name


def test_place_that_a_record_names_by_url_is_its_table() -> None:
    assert place_named(Settings(models=TABLES), "https://acme.example/v1", {}).name == "acme"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("https://gone.example/v1", "--base-url https://gone"), ("acne", "did you mean 'acme'")],
)
def test_place_that_is_not_configured_says_what_to_add(name: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        place_named(Settings(models=TABLES), name, {})
    assert remedy in caught.value.remedy


def test_remote_place_needs_its_key_and_no_server(server: Server) -> None:
    settings = Settings(models=TABLES, backend="acme")
    plan = plan_place(settings, {})
    with (
        pytest.raises(UsageError, match="ACME_KEY is not set"),
        open_place(plan, settings, {}, teller=Silence()),
    ):
        pass
    with open_place(plan, settings, {"ACME_KEY": "k"}, teller=Silence()) as place:
        assert (place.endpoint.label, place.model, place.lasting) == (
            "https://acme.example/v1",
            "acme/base",
            True,
        )
        assert not server.running


def opened(tmp_path: Path, plan: PlacePlan | None = None) -> Mapping[str, object]:
    settings = Settings(root=tmp_path)
    with open_place(plan or plan_place(settings, {}), settings, {}, teller=Silence()) as place:
        return {"url": place.endpoint.base_url, "lasting": place.lasting, "model": place.model}


def test_local_server_is_started_for_the_block(tmp_path: Path, server: Server) -> None:
    assert opened(tmp_path) == {"url": server.base_url, "lasting": False, "model": EMBEDDED_MODEL}
    assert ledger_of(Settings(root=tmp_path)) == tmp_path / ".harness" / "jobs.jsonl"


def test_server_that_a_person_runs_is_joined(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(localserver, "running_server", lambda _: RUNNING)
    assert opened(tmp_path) == {"url": RUNNING.base_url, "lasting": True, "model": EMBEDDED_MODEL}


def test_server_of_another_model_trains_that_one(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(localserver, "running_server", lambda _: replace(RUNNING, model="qwen"))
    assert opened(tmp_path)["model"] == "qwen"


def test_server_with_a_key_is_not_joined_without_it(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(localserver, "running_server", lambda _: replace(RUNNING, keyed=True))
    with pytest.raises(UsageError, match="wants a key"):
        opened(tmp_path)


def test_server_of_another_command_is_waited_for_or_joined_for_a_short_question(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = iter([replace(RUNNING, lasting=False), replace(RUNNING, lasting=False), None])
    monkeypatch.setattr(localserver, "running_server", lambda _: next(seen))
    monkeypatch.setattr(embedded, "LOOK_S", 0.0)
    with local_place(tmp_path, Silence(), joins_any=True) as short:
        assert short.endpoint.base_url == RUNNING.base_url
    teller = Silence()
    with local_place(tmp_path, teller) as place:
        assert place.endpoint.base_url == server.base_url
    assert teller.told == ["another command is using the local server: waiting for it to end"]


def test_server_that_is_just_starting_is_waited_for(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_state: Path, on_event: object) -> Server:
        raise EndpointError(f"{tmp_path}: {embedded.IN_USE}", remedy="stop it")

    seen = iter([None, RUNNING])
    monkeypatch.setattr(localserver, "running_server", lambda _: next(seen))
    monkeypatch.setattr(localserver, "start", start)
    monkeypatch.setattr(embedded, "LOOK_S", 0.0)
    with local_place(tmp_path, Silence()) as place:
        assert place.endpoint.base_url == RUNNING.base_url


def test_waiting_for_another_command_has_an_end(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(localserver, "running_server", lambda _: replace(RUNNING, lasting=False))
    monkeypatch.setattr(embedded, "WAIT_S", -1.0)
    with (
        pytest.raises(EndpointError, match="another command has been using"),
        local_place(tmp_path, Silence()),
    ):
        pass


def test_server_that_cannot_start_is_told_at_once(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_state: Path, on_event: object) -> Server:
        raise EndpointError("no torch", remedy="install it")

    monkeypatch.setattr(localserver, "start", start)
    with pytest.raises(EndpointError, match="no torch"):
        opened(tmp_path)
