"""Whose last day is known, from whom, and what a fine-tune inherits from its base."""

import pytest

from harness.config import EMBEDDED_MODEL, ModelSettings
from harness.dataset import Price
from harness.lineup import Seat, ask_shutdown_dates, retirements_of
from harness.lineup.seats import SeatPlan
from harness.records import Endpoint, Retirement, Role, TrainingJob
from harness.testing import FaultyEndpoint

HERE = Endpoint(label="openai")
THERE = Endpoint(label="http://127.0.0.1:1/v1", base_url="http://127.0.0.1:1/v1")
BASE = "gpt-4.1-mini-2025-04-14"
TUNED = f"ft:{BASE}:acme::abc123"
TABLE_DAY = "2027-01-14"


def seat(
    model: str, *, endpoint: Endpoint = HERE, embedded: bool = False, last_day: str | None = None
) -> Seat:
    return Seat(model=model, endpoint=endpoint, price={}, embedded=embedded, last_day=last_day)


def only(seats: dict[Role, Seat], told: dict[Endpoint, dict[str, str]] | None = None) -> Retirement:
    (found,) = retirements_of(seats, told or {})
    return found


def test_a_fine_tune_lives_no_longer_than_its_base() -> None:
    found = only({"candidate": seat(TUNED)})
    assert (found.model, found.day, found.tuned_from) == (TUNED, TABLE_DAY, BASE)
    assert found.told_by == "2026-10"


def test_an_alias_is_tuned_from_nothing() -> None:
    found = only({"judge": seat("gpt-4.1")})
    assert (found.role, found.day, found.tuned_from) == ("judge", TABLE_DAY, None)


def test_the_endpoint_knows_better_than_the_table() -> None:
    found = only({"candidate": seat(TUNED)}, {HERE: {BASE: "2027-03-01"}})
    assert (found.day, found.told_by, found.tuned_from) == ("2027-03-01", "endpoint", BASE)


def test_of_a_model_and_its_base_the_earlier_day_counts() -> None:
    found = only({"candidate": seat(TUNED)}, {HERE: {BASE: "2027-03-01", TUNED: "2027-02-01"}})
    assert (found.day, found.tuned_from) == ("2027-02-01", None)


def test_another_endpoint_of_the_run_says_nothing_about_this_one() -> None:
    assert retirements_of({"candidate": seat("acme/lora-7")}, {THERE: {"acme/lora-7": "2027-03-01"}}) == ()


def test_the_configuration_knows_best() -> None:
    found = only({"base": seat(BASE, last_day="2027-06-30")}, {HERE: {BASE: "2027-03-01"}})
    assert (found.day, found.told_by) == ("2027-06-30", "configuration")


def test_what_is_configured_for_the_base_holds_for_its_fine_tune() -> None:
    seats: dict[Role, Seat] = {
        "base": seat("acme/plain", last_day="2027-06-30"),
        "candidate": seat("acme/lora-7"),
    }
    job = TrainingJob(id="ftjob-1", status="succeeded", model="acme/plain")
    found = {one.role: one for one in retirements_of(seats, {}, job=job)}
    assert (found["candidate"].day, found["candidate"].tuned_from) == ("2027-06-30", "acme/plain")


def test_a_job_tells_the_base_of_a_name_that_does_not() -> None:
    job = TrainingJob(id="ftjob-1", status="succeeded", model=BASE)
    (found,) = retirements_of({"candidate": seat("tickets-in-production")}, {}, job=job)
    assert (found.day, found.tuned_from) == (TABLE_DAY, BASE)


@pytest.mark.parametrize("model", ["acme/lora-7", EMBEDDED_MODEL, ""])
def test_a_model_nobody_knows_has_no_last_day(model: str) -> None:
    assert retirements_of({"candidate": seat(model)}, {}) == ()


def test_the_local_model_is_nobodys_to_shut_down() -> None:
    assert retirements_of({"base": seat(BASE, embedded=True)}, {}) == ()


def test_each_endpoint_is_asked_once_and_the_local_server_never() -> None:
    listed = [{"id": "m", "shutdown_date": "2027-05-05"}]
    with FaultyEndpoint(models=listed) as remote, FaultyEndpoint() as local:
        shared = Endpoint(label="remote", base_url=remote.base_url, api_key="k")
        own = Endpoint(label="local", base_url=local.base_url, api_key="k")
        told = ask_shutdown_dates(
            {
                "candidate": seat("m", endpoint=shared),
                "base": seat("n", endpoint=shared),
                "judge": seat("n", endpoint=own, embedded=True),
            }
        )
        assert (remote.listings, local.listings) == (1, 0)
    assert told == {shared: {"m": "2027-05-05"}}


def test_a_configured_day_is_that_of_the_tables_own_model() -> None:
    plan = SeatPlan(
        model="acme/lora-7", settings=ModelSettings(model="acme/lora-7", price=Price(shutdown="2027-06-30"))
    )
    assert plan.seat("acme/lora-7", HERE).last_day == "2027-06-30"
    assert plan.seat("acme/other", HERE).last_day is None
