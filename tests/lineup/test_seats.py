import asyncio
from pathlib import Path

import pytest

from harness.config import EMBEDDED_MODEL, ModelSettings, Settings
from harness.dataset import Price
from harness.errors import UsageError
from harness.lineup import Seat, SeatPlan, lacking, open_models, plan_seats, planned_seats
from harness.models import AnswerCache
from harness.records import Completion, Endpoint, Failure, Role, Sampling
from harness.testing import FaultyEndpoint

KEY = {"OPENAI_API_KEY": "sk-secret-0123456789"}
OPENAI_TUNED = "ft:gpt-4.1-mini-2025-04-14:acme::abc123"
OPENAI_BASE = "gpt-4.1-mini-2025-04-14"
LOCAL_TUNED = f"ft:{EMBEDDED_MODEL}:local::abc123"
ACME = ModelSettings(
    model="acme/lora-7", base_url="https://acme.example/v1", api_key_env="ACME_KEY", price=Price(input=0.2)
)
PLAIN = ModelSettings(model="acme/plain", base_url="https://plain.example/v1")
MODELS = {"acme": ACME, "plain": PLAIN}
TRAIN = Path("train.jsonl")


def places(settings: Settings, environment: dict[str, str] | None = None) -> dict[Role, str]:
    """`model @ place` of each role."""
    return {
        role: f"{plan.model} @ {where(plan)}"
        for role, plan in plan_seats(settings, environment or {}).items()
    }


def where(plan: SeatPlan) -> str:
    return "local" if plan.settings is None else plan.settings.base_url or "openai"


# --- which model lives where -----------------------------------------------------------------------


def test_training_data_alone_is_the_embedded_model_and_its_fine_tune() -> None:
    assert places(Settings(train=TRAIN)) == {"candidate": "None @ local", "base": f"{EMBEDDED_MODEL} @ local"}


@pytest.mark.parametrize(
    "settings",
    [
        Settings(train=TRAIN),
        Settings(candidate="latest"),
        Settings(candidate=LOCAL_TUNED),
        Settings(base=EMBEDDED_MODEL, train=TRAIN),
        Settings(candidate="plain", models=MODELS),
        Settings(job="ftjob-1"),
    ],
)
def test_key_in_the_environment_changes_nothing(settings: Settings) -> None:
    assert places(settings, KEY) == places(settings, {})
    assert "openai" not in " ".join(places(settings, KEY).values())


@pytest.mark.parametrize("environment", [KEY, {}])
def test_ids_of_openai_are_asked_there(environment: dict[str, str]) -> None:
    assert places(Settings(candidate=OPENAI_TUNED, base=OPENAI_BASE), environment) == {
        "candidate": f"{OPENAI_TUNED} @ openai",
        "base": f"{OPENAI_BASE} @ openai",
    }


def test_base_is_read_from_the_name_of_the_fine_tune() -> None:
    assert places(Settings(candidate=OPENAI_TUNED))["base"] == f"{OPENAI_BASE} @ openai"
    tuned = ModelSettings(model=OPENAI_TUNED, base_url="https://proxy.example/v1")
    settings = Settings(candidate="tuned", models={"tuned": tuned})
    assert places(settings)["base"] == f"{OPENAI_BASE} @ https://proxy.example/v1"


def test_name_that_tells_no_base_has_none() -> None:
    assert places(Settings(candidate="gpt-4.1")) == {"candidate": "gpt-4.1 @ openai"}
    assert places(Settings(candidate="acme", models=MODELS)) == {
        "candidate": "acme/lora-7 @ https://acme.example/v1"
    }


def test_roles_may_live_in_four_places() -> None:
    settings = Settings(
        candidate="acme", base=EMBEDDED_MODEL, promoted="plain", judge="gpt-4.1", models=MODELS
    )
    assert places(settings) == {
        "candidate": "acme/lora-7 @ https://acme.example/v1",
        "base": f"{EMBEDDED_MODEL} @ local",
        "promoted": "acme/plain @ https://plain.example/v1",
        "judge": "gpt-4.1 @ openai",
    }


def test_the_local_model_may_judge_and_give_vectors_beside_remote_ones() -> None:
    settings = Settings(candidate="acme", judge=EMBEDDED_MODEL, embedding="plain", models=MODELS)
    assert places(settings) == {
        "candidate": "acme/lora-7 @ https://acme.example/v1",
        "judge": f"{EMBEDDED_MODEL} @ local",
        "embedding": "acme/plain @ https://plain.example/v1",
    }


def test_judge_of_openai_sits_beside_local_models() -> None:
    settings = Settings(backend="local", base=EMBEDDED_MODEL, candidate="latest", judge="gpt-4.1")
    assert places(settings) == {
        "candidate": "None @ local",
        "base": f"{EMBEDDED_MODEL} @ local",
        "judge": "gpt-4.1 @ openai",
    }


@pytest.mark.parametrize(
    ("base", "home"),
    [
        (OPENAI_BASE, "openai"),
        ("plain", "https://plain.example/v1"),
        (EMBEDDED_MODEL, "local"),
        (None, "local"),
    ],
)
@pytest.mark.parametrize("candidate", [None, "latest"])
def test_candidate_without_a_name_lives_where_its_base_lives(
    base: str | None, home: str, candidate: str | None
) -> None:
    settings = Settings(base=base, candidate=candidate, train=TRAIN, models=MODELS)
    assert places(settings)["candidate"] == f"None @ {home}"


def test_configured_backend_has_every_other_id() -> None:
    settings = Settings(backend="plain", candidate="acme/lora-9", promoted="acme", models=MODELS)
    assert places(settings) == {
        "candidate": "acme/lora-9 @ https://plain.example/v1",
        "base": "acme/plain @ https://plain.example/v1",
        "promoted": "acme/lora-7 @ https://acme.example/v1",
    }


def test_model_is_not_compared_with_itself() -> None:
    settings = Settings(backend="plain", candidate="plain", models=MODELS)
    assert places(settings) == {"candidate": "acme/plain @ https://plain.example/v1"}


def test_backend_openai_trains_there() -> None:
    settings = Settings(backend="openai", base=OPENAI_BASE, train=TRAIN)
    assert places(settings)["candidate"] == "None @ openai"
    assert places(Settings(backend="openai", job="ftjob-1")) == {"candidate": "None @ openai"}


def test_base_url_has_every_id_and_brings_openais_key_only_when_there_is_one() -> None:
    settings = Settings(candidate="tuned-3", base="plain", base_url="http://127.0.0.1:1/v1", models=MODELS)
    assert places(settings) == {
        "candidate": "tuned-3 @ http://127.0.0.1:1/v1",
        "base": "acme/plain @ https://plain.example/v1",
    }
    with_key = plan_seats(settings, KEY)["candidate"].settings
    without = plan_seats(settings, {})["candidate"].settings
    assert with_key is not None
    assert without is not None
    assert (with_key.api_key_env, without.api_key_env) == ("OPENAI_API_KEY", None)


def test_nothing_to_judge_says_what_to_give() -> None:
    with pytest.raises(UsageError, match=r"no candidate to judge \(give --candidate MODEL or --job ID, or"):
        plan_seats(Settings(base=OPENAI_BASE), KEY)


# --- prices ----------------------------------------------------------------------------------------


def test_embedded_model_costs_nothing() -> None:
    plan = SeatPlan(model=EMBEDDED_MODEL, settings=None)
    assert plan.price(EMBEDDED_MODEL) == {"input": 0.0, "cached": 0.0, "output": 0.0}


def test_configured_price_comes_before_the_table() -> None:
    configured = ModelSettings(model=OPENAI_BASE, price=Price(input=9.0, output=9.5, as_of="2026-01"))
    plan = SeatPlan(model=OPENAI_BASE, settings=configured)
    assert plan.price(OPENAI_BASE) == {"input": 9.0, "output": 9.5}
    listed = SeatPlan(model=OPENAI_BASE, settings=ModelSettings(model=OPENAI_BASE))
    assert listed.price(OPENAI_BASE) == {"input": 0.4, "cached": 0.1, "output": 1.6}


def test_price_for_training_only_leaves_the_table_in_place() -> None:
    plan = SeatPlan(model=OPENAI_BASE, settings=ModelSettings(model=OPENAI_BASE, price=Price(train=1.0)))
    assert plan.price(OPENAI_BASE)["input"] == 0.4


def test_unknown_model_has_no_price_not_a_price_of_zero() -> None:
    assert SeatPlan(model="acme/x", settings=PLAIN).price("acme/x") == {}


def test_model_still_to_be_trained_is_estimated_at_the_price_of_tuned_models() -> None:
    seats = planned_seats(Settings(base=OPENAI_BASE, train=TRAIN), {})
    assert seats["candidate"].model == f"{OPENAI_BASE}, fine-tuned first"
    assert seats["candidate"].price["input"] == 0.8
    assert seats["base"].price["input"] == 0.4


# --- seats as models -------------------------------------------------------------------------------


def seat(model: str, endpoint: Endpoint) -> Seat:
    return Seat(model=model, endpoint=endpoint, price={})


def test_seat_tells_a_manifest_no_key() -> None:
    facts = seat("m", Endpoint(label="acme", api_key="sk-secret-0123456789")).facts()
    assert (facts.model, facts.endpoint) == ("m", "acme")
    assert "secret" not in repr(facts)


def test_embedded_models_lack_what_capable_models_give_and_the_judge_does_not_count() -> None:
    local = Seat(model="m", endpoint=Endpoint(label="local"), price={}, embedded=True)
    remote = seat("m", Endpoint(label="acme"))
    assert lacking({"candidate": remote, "base": local}) == {"capable-model"}
    assert lacking({"candidate": remote, "base": remote, "judge": local}) == frozenset()


def ask(
    seats: dict[Role, Seat], cache: AnswerCache, *, read: bool = True
) -> dict[Role, Completion | Failure]:
    async def gather() -> dict[Role, Completion | Failure]:
        async with open_models(seats, cache, read=read)() as models:
            question = [{"role": "user", "content": "?"}]
            return {role: await model.complete(question, Sampling()) for role, model in models.items()}

    return asyncio.run(gather())


def test_models_of_one_address_keep_their_own_keys(tmp_path: Path) -> None:
    with FaultyEndpoint("yes") as served:
        seats: dict[Role, Seat] = {
            role: seat(role, Endpoint(label="same", base_url=served.base_url, api_key=f"key-of-{role}"))
            for role in ("candidate", "base")
        }
        cache = AnswerCache(tmp_path / "answers.sqlite")
        ask(seats, cache)
        cache.close()
        keys = {str(body["model"]): key for body, key in zip(served.bodies, served.keys, strict=True)}
    assert keys == {"candidate": "key-of-candidate", "base": "key-of-base"}


def test_answers_are_paid_for_once_unless_asked_anew(tmp_path: Path) -> None:
    with FaultyEndpoint("yes") as served:
        seats: dict[Role, Seat] = {"candidate": seat("m", Endpoint(label="x", base_url=served.base_url))}
        cache = AnswerCache(tmp_path / "answers.sqlite")
        first, second = ask(seats, cache)["candidate"], ask(seats, cache)["candidate"]
        assert served.requests == 1
        ask(seats, cache, read=False)
        assert served.requests == 2
        cache.close()
    assert isinstance(first, Completion)
    assert isinstance(second, Completion)
    assert (first.cached, second.cached) == (False, True)
