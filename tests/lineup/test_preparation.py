import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness import localserver
from harness.config import EMBEDDED_MODEL, ModelSettings, Settings
from harness.errors import BudgetError, DatasetError, EndpointError, UsageError
from harness.lineup import Lineup, Seat, handover, prepared, taken_over
from harness.records import Endpoint
from harness.serial import file_digest, from_json, to_json
from tests.training.provider import Provider

KEY = "sk-secret-0123456789"
ROW = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n'


class Silence:
    """A teller nobody listens to; it remembers what it said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, text: str) -> None: ...


class Server:
    """A local server that is a scripted provider, with the life of the real one."""

    model = EMBEDDED_MODEL
    weights = "0123abcd"

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.base_url = provider.base_url
        self.states: list[Path] = []
        self.running = False

    def start(self, state: Path, *, on_event: object) -> "Server":
        self.states.append(state)
        return self

    def __enter__(self) -> "Server":
        self.running = True
        return self

    def __exit__(self, *_: object) -> None:
        self.running = False


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(statuses=("succeeded",)) as running:
        yield running


@pytest.fixture
def local(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server(provider)
    monkeypatch.setattr(localserver, "start", server.start)
    return server


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object, **__: object) -> None:
        pytest.fail("the local server was started")

    monkeypatch.setattr(localserver, "start", start)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "train.jsonl").write_text(ROW * 12, encoding="utf-8")
    return tmp_path


def prepare(settings: Settings, environment: Mapping[str, str] | None = None) -> Lineup:
    with prepared(settings, environment or {}, teller=Silence()) as lineup:
        return lineup


def remote(provider: Provider) -> dict[str, ModelSettings]:
    return {"acme": ModelSettings(model="acme/plain", base_url=provider.base_url, max_retries=0)}


# --- what is prepared ------------------------------------------------------------------------------


def test_candidate_is_trained_on_the_local_server(local: Server, root: Path) -> None:
    teller = Silence()
    with prepared(Settings(root=root, train=Path("train.jsonl")), {}, teller=teller) as lineup:
        assert local.running
    assert not local.running
    assert local.states == [root / ".harness" / "local-server"]
    assert teller.said[0] == f"local server: {EMBEDDED_MODEL} at {local.base_url}"
    assert lineup.seats["base"].model == EMBEDDED_MODEL
    assert lineup.seats["candidate"].model == f"ft:{EMBEDDED_MODEL}:local::ftjob-1"
    assert lineup.seats["candidate"].endpoint.label == "local:0123abcd", "the same on every port"
    assert all(seat.embedded for seat in lineup.seats.values())
    assert lineup.job is not None
    assert lineup.curve is not None
    assert list(lineup.curve.steps["train_loss"]) == [2.0, 1.0]
    assert lineup.data == {"train": file_digest(root / "train.jsonl")}


def test_server_that_serves_another_model_is_not_taken_for_the_embedded_one(
    local: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "model", "qwen")
    with pytest.raises(UsageError, match=f"serves qwen, not {EMBEDDED_MODEL}"):
        prepare(Settings(root=root, train=Path("train.jsonl")))
    assert not local.running


def test_server_is_stopped_when_preparation_fails(provider: Provider, local: Server, root: Path) -> None:
    provider.refuse["POST /fine_tuning/jobs"] = (400, {"error": {"message": "no such model"}})
    with pytest.raises(EndpointError, match="no such model"):
        prepare(Settings(root=root, train=Path("train.jsonl")))
    assert local.states
    assert not local.running


@pytest.mark.usefixtures("no_server")
def test_models_elsewhere_need_no_server(provider: Provider, root: Path) -> None:
    settings = Settings(root=root, base="acme", train=Path("train.jsonl"), models=remote(provider))
    lineup = prepare(settings)
    assert lineup.seats["candidate"].model == "ft:acme/plain:local::ftjob-1"
    assert lineup.seats["candidate"].endpoint == lineup.seats["base"].endpoint
    assert (root / ".harness" / "jobs.jsonl").is_file(), "providers without metadata are remembered for"


@pytest.mark.usefixtures("no_server")
def test_job_names_its_model_and_its_base(provider: Provider, root: Path) -> None:
    provider.reply("POST", "/v1/fine_tuning/jobs", b'{"model": "some-base"}')
    lineup = prepare(Settings(root=root, job="ftjob-1", backend="acme", models=remote(provider)))
    assert {role: seat.model for role, seat in lineup.seats.items()} == {
        "candidate": "ft:some-base:local::ftjob-1",
        "base": "some-base",
    }


@pytest.mark.usefixtures("no_server")
def test_named_candidate_with_a_job_keeps_its_name_and_shows_the_curve(provider: Provider) -> None:
    provider.reply("POST", "/v1/fine_tuning/jobs", b'{"model": "some-base"}')
    lineup = prepare(
        Settings(candidate="acme/mine", base="acme", job="ftjob-1", backend="acme", models=remote(provider))
    )
    assert lineup.seats["candidate"].model == "acme/mine"
    assert lineup.seats["base"].model == "acme/plain"
    assert lineup.curve is not None


@pytest.mark.usefixtures("no_server")
def test_latest_is_the_newest_job_that_succeeded(provider: Provider) -> None:
    for name in (b"first", b"second"):
        provider.reply("POST", "/v1/fine_tuning/jobs", b'{"model": "%s"}' % name)
        provider.reply("GET", f"/v1/fine_tuning/jobs/ftjob-{len(provider.jobs)}", b"")
    lineup = prepare(Settings(candidate="latest", base="acme", models=remote(provider)))
    assert lineup.seats["candidate"].model == "ft:second:local::ftjob-2"


@pytest.mark.usefixtures("no_server")
@pytest.mark.parametrize("named", [{"job": "ftjob-1"}, {"candidate": "latest"}])
def test_what_a_job_of_this_project_was_trained_on_is_known_in_later_runs(
    provider: Provider, root: Path, named: Mapping[str, str]
) -> None:
    settings = Settings(root=root, base="acme", models=remote(provider))
    made = prepare(replace(settings, train=Path("train.jsonl")))
    assert made.data == {"train": file_digest(root / "train.jsonl")}
    later = replace(settings, **named)
    assert prepare(later).data == made.data
    assert prepare(replace(later, root=root / "elsewhere")).data == {}, "made elsewhere"


@pytest.mark.usefixtures("no_server")
def test_a_ledger_of_a_newer_version_keeps_no_finished_job_from_being_judged(
    provider: Provider, root: Path
) -> None:
    provider.reply("POST", "/v1/fine_tuning/jobs", b'{"model": "some-base"}')
    (root / ".harness").mkdir()
    (root / ".harness" / "jobs.jsonl").write_text('{"schema": 99}\n', encoding="utf-8")
    teller = Silence()
    settings = Settings(root=root, job="ftjob-1", backend="acme", models=remote(provider))
    with prepared(settings, {}, teller=teller) as lineup:
        assert lineup.data == {}
    (said,) = (line for line in teller.said if "schema 99" in line)
    assert said.startswith("what ftjob-1 was trained on is not known: ")


@pytest.mark.usefixtures("no_server")
def test_job_without_a_model_yet_is_told_with_its_status() -> None:
    with Provider(statuses=("queued",)) as provider:
        provider.reply("POST", "/v1/fine_tuning/jobs", b'{"model": "some-base"}')
        with pytest.raises(
            UsageError, match=r"ftjob-1 has no model yet, its status is 'queued' \(wait for it"
        ):
            prepare(Settings(job="ftjob-1", backend="acme", models=remote(provider)))


@pytest.mark.usefixtures("no_server")
def test_candidate_without_anything_to_compare_it_with_is_told() -> None:
    models = {"acme": ModelSettings(model="acme/x", base_url="http://127.0.0.1:9/v1")}
    for promoted, said in ((None, 1), ("acme", 0)):
        teller = Silence()
        with prepared(Settings(candidate="acme", promoted=promoted, models=models), {}, teller=teller):
            assert len(teller.said) == said
            assert all("give --base MODEL" in line for line in teller.said)


# --- what is told before anything is started -------------------------------------------------------


@pytest.mark.usefixtures("no_server")
def test_missing_key_is_told_before_the_server_is_started(root: Path) -> None:
    with pytest.raises(UsageError, match=r"gpt-4\.1 is at openai, and OPENAI_API_KEY is not set"):
        prepare(Settings(root=root, train=Path("train.jsonl"), judge="gpt-4.1"))


@pytest.mark.usefixtures("no_server")
def test_bad_training_data_is_told_before_the_server_is_started(root: Path) -> None:
    (root / "train.jsonl").write_text("not json\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"train\.jsonl:1: not valid JSON"):
        prepare(Settings(root=root, train=Path("train.jsonl")))


@pytest.mark.usefixtures("no_server")
def test_training_over_the_budget_uploads_nothing(provider: Provider, root: Path) -> None:
    models = {"mini": ModelSettings(model="gpt-4.1-mini-2025-04-14", base_url=provider.base_url)}
    with pytest.raises(BudgetError, match="nothing was uploaded"):
        prepare(Settings(root=root, base="mini", train=Path("train.jsonl"), budget_usd=0.0, models=models))
    assert provider.asked == []


@pytest.mark.usefixtures("no_server")
def test_training_without_a_base_says_what_to_give(root: Path) -> None:
    settings = Settings(root=root, backend="openai", train=Path("train.jsonl"))
    with pytest.raises(UsageError, match=r"no base model to fine-tune \(give --base MODEL"):
        prepare(settings, {"OPENAI_API_KEY": KEY})


# --- other processes -------------------------------------------------------------------------------


def test_what_is_handed_over_has_no_key_and_seats_the_same_models(local: Server, root: Path) -> None:
    judge = ModelSettings(model="j", base_url="https://me:pw@judge.example/v1", api_key_env="JUDGE_KEY")
    settings = Settings(root=root, train=Path("train.jsonl"), judge="judge", models={"judge": judge})
    environment = {"JUDGE_KEY": KEY, "OPENAI_API_KEY": KEY}
    lineup = prepare(settings, environment)
    text = to_json(handover(lineup))
    assert KEY not in text
    assert "pw" not in json.loads(text)["models"].values()
    assert "judge.example" not in text
    assert taken_over(settings, environment, from_json(dict, text)) == lineup.seats


@pytest.mark.usefixtures("no_server")
def test_base_that_a_job_told_is_handed_over_too(provider: Provider) -> None:
    provider.reply("POST", "/v1/fine_tuning/jobs", b'{"model": "some-base"}')
    settings = Settings(job="ftjob-1", backend="acme", models=remote(provider))
    lineup = prepare(settings)
    given = handover(lineup)
    assert given["local"] is None
    assert taken_over(settings, {}, given) == lineup.seats


def test_process_without_the_key_says_so() -> None:
    judge = ModelSettings(model="j", base_url="https://judge.example/v1", api_key_env="JUDGE_KEY")
    settings = Settings(candidate="judge", models={"judge": judge})
    seat = Seat(model="j", endpoint=Endpoint(label="x", api_key=KEY), price={})
    with pytest.raises(UsageError, match="JUDGE_KEY is not set"):
        taken_over(settings, {}, handover(Lineup(seats={"candidate": seat})))
