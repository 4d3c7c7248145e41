from pathlib import Path

import pytest

from harness.config import EMBEDDED_MODEL, NONE, ModelSettings, Settings
from harness.errors import StorageError, UsageError
from harness.evals import PROMOTED, Promotion, add_promotion
from harness.lineup import Seat, handover, known_answers, plan_seats, planned_seats, taken_over
from harness.lineup.preparation import Lineup
from harness.records import Endpoint, Role
from harness.serial import from_json, to_json

TUNED = "ft:gpt-4.1-mini-2025-04-14:acme::abc123"
NEWER = "ft:gpt-4.1-mini-2025-04-14:acme::def456"
ACME = "https://acme.example/v1"
MODELS = {
    "next": ModelSettings(model="acme/lora-8", base_url=f"{ACME}/", api_key_env="NEXT_KEY"),
    "acme": ModelSettings(model="acme/lora-7", base_url=ACME, api_key_env="ACME_KEY"),
}


def settings(tmp_path: Path, model: str = TUNED, endpoint: str = "openai", **changes: object) -> Settings:
    """A project in which a model is on record as promoted."""
    promotion = Promotion(
        at="2026-11-23T10:00:00Z",
        by="Ada",
        run="r1",
        model=model,
        endpoint=endpoint,
        verdict="promote",
        reason="it is better",
    )
    add_promotion(tmp_path / "reports", promotion)
    return Settings(root=tmp_path, **{"candidate": NEWER, **changes})  # type: ignore[arg-type]


def promoted(made: Settings, environment: dict[str, str] | None = None) -> tuple[str | None, str | None]:
    """The model that is promoted, and the variable with its key or where it is."""
    plan = plan_seats(made, environment or {})["promoted"]
    where = "local" if plan.settings is None else plan.settings.api_key_env or plan.settings.base_url
    return plan.model, where


# --- where it is -----------------------------------------------------------------------------------


def test_model_on_record_is_the_promoted_one(tmp_path: Path) -> None:
    assert promoted(settings(tmp_path)) == (TUNED, None)


def test_nothing_on_record_is_no_promoted_model(tmp_path: Path) -> None:
    assert "promoted" not in plan_seats(Settings(root=tmp_path, candidate=NEWER), {})


def test_endpoint_on_record_is_the_table_of_that_address_best_of_that_model(tmp_path: Path) -> None:
    made = settings(tmp_path, "acme/lora-7", ACME, candidate="next", models=MODELS)
    assert promoted(made) == ("acme/lora-7", "ACME_KEY")


def test_table_of_the_address_serves_a_model_that_has_none_of_its_own(tmp_path: Path) -> None:
    made = settings(tmp_path, "acme/lora-6", ACME, candidate="next", models=MODELS)
    assert promoted(made) == ("acme/lora-6", "NEXT_KEY")


def test_endpoint_of_a_url_that_was_given_is_found_without_its_password(tmp_path: Path) -> None:
    made = settings(tmp_path, "m", "http://127.0.0.1:8000/v1", base_url="http://me:secret@127.0.0.1:8000/v1")
    assert promoted(made) == ("m", "http://me:secret@127.0.0.1:8000/v1")
    assert promoted(made, {"OPENAI_API_KEY": "sk-x"}) == ("m", "OPENAI_API_KEY")


def test_openai_behind_a_proxy_is_found_by_its_address(tmp_path: Path) -> None:
    made = settings(tmp_path, TUNED, "https://proxy.example/v1")
    assert promoted(made, {"OPENAI_BASE_URL": "https://proxy.example/v1"}) == (TUNED, None)
    with pytest.raises(UsageError, match=r"is at https://proxy\.example/v1, which is not configured"):
        plan_seats(made, {})


def test_fine_tune_of_the_local_server_is_there(tmp_path: Path) -> None:
    made = settings(tmp_path, f"ft:{EMBEDDED_MODEL}:local::abc", "local:0123abcd", candidate="latest")
    assert promoted(made) == (f"ft:{EMBEDDED_MODEL}:local::abc", "local")


# --- what wins over the record ---------------------------------------------------------------------


def test_name_that_is_given_wins_and_none_does_without(tmp_path: Path) -> None:
    assert promoted(settings(tmp_path, promoted="gpt-4.1")) == ("gpt-4.1", None)
    assert "promoted" not in plan_seats(settings(tmp_path, promoted=NONE), {})


def test_broken_record_is_told_unless_it_is_done_without(tmp_path: Path) -> None:
    made = settings(tmp_path)
    (tmp_path / "reports" / PROMOTED).write_text("{", encoding="utf-8")
    with pytest.raises(StorageError, match="is damaged"):
        plan_seats(made, {})
    for name in (NONE, "gpt-4.1"):
        without = Settings(root=tmp_path, candidate=NEWER, promoted=name)
        assert plan_seats(without, {})["candidate"].model == NEWER
        assert known_answers(without) == {}


def test_candidate_on_record_is_not_compared_with_itself(tmp_path: Path) -> None:
    assert set(planned_seats(settings(tmp_path), {})) == {"candidate", "base", "promoted"}
    assert set(planned_seats(settings(tmp_path, candidate=TUNED), {})) == {"candidate", "base"}
    named = settings(tmp_path, candidate=TUNED, promoted=TUNED)
    assert set(planned_seats(named, {})) == {"candidate", "base", "promoted"}, "as it was asked for"


# --- other processes -------------------------------------------------------------------------------


def test_worker_takes_over_whoever_sits_at_the_table(tmp_path: Path) -> None:
    environment = {"OPENAI_API_KEY": "sk-secret-0123456789"}
    endpoint = Endpoint(label="openai", api_key=environment["OPENAI_API_KEY"])
    seats: dict[Role, Seat] = {
        role: Seat(model=model, endpoint=endpoint, price={})
        for role, model in (("candidate", NEWER), ("base", "m"), ("promoted", TUNED))
    }
    made = settings(tmp_path)
    for roles in (("candidate", "base", "promoted"), ("candidate", "base")):
        chosen = {role: seats[role] for role in seats if role in roles}
        given = from_json(dict, to_json(handover(Lineup(seats=chosen))))
        over = taken_over(made, environment, given)
        assert {role: seat.model for role, seat in over.items()} == {
            role: seat.model for role, seat in chosen.items()
        }
