"""The lineup made ready: keys found, the local server started, the candidate's job followed to its end."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness import training
from harness.config import EMBEDDED_MODEL, Settings, endpoint_of
from harness.errors import UsageError
from harness.evals import Promotion
from harness.lineup.embedded import FOLDER, LOCAL_KEY, LocalPlace, local_place
from harness.lineup.fine_tuning import is_trained, job_of, training_request
from harness.lineup.production import in_production
from harness.lineup.seats import Seat, SeatPlan, plan_seats, without_itself
from harness.lineup.telling import Teller
from harness.records import Endpoint, Json, Role, TrainingJob, record

if TYPE_CHECKING:
    from harness.training import TrainingCurve

STATE = ".harness"
# Every job that was made here, with its files, hyperparameters and cost.
LEDGER = "jobs.jsonl"


@record
class Lineup:
    """The seats of a run, the job the candidate came from with its curve, and digests of its data."""

    seats: Mapping[Role, Seat]
    job: TrainingJob | None = None
    curve: "TrainingCurve | None" = None
    data: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def prepared(
    settings: Settings, environment: Mapping[str, str], *, teller: Teller, state: Path | None = None
) -> Iterator[Lineup]:
    """The lineup, ready to be asked; the local server, if one is needed, lives as long as the block.

    Raises:
        HarnessError: Bad configuration or training data, no weights, a job that failed.
    """
    plans = plan_seats(settings, environment)
    # Missing keys and bad data are told before anything is started or fetched.
    endpoints = _remote(plans, environment)
    if is_trained(settings):
        training_request(settings, base="")
    with contextlib.ExitStack() as stack:
        if len(endpoints) < len(plans):
            folder = (state or settings.path(Path(STATE))) / FOLDER
            local = _local_endpoint(stack.enter_context(local_place(folder, teller)))
            endpoints = {role: endpoints.get(role, local) for role in plans}
        yield _lineup(settings, plans, endpoints, teller)


def _remote(plans: Mapping[Role, SeatPlan], environment: Mapping[str, str]) -> dict[Role, Endpoint]:
    """The endpoints of everything that is not on the local server."""
    return {
        role: endpoint_of(replace(plan.settings, model=plan.model or plan.settings.model), environment)
        for role, plan in plans.items()
        if plan.settings is not None
    }


def _lineup(
    settings: Settings, plans: Mapping[Role, SeatPlan], endpoints: Mapping[Role, Endpoint], teller: Teller
) -> Lineup:
    home = endpoints["candidate"]
    ledger = settings.path(Path(STATE)) / LEDGER
    job, data = job_of(settings, plans, home, ledger=ledger, teller=teller)
    candidate = plans["candidate"].model or (job.fine_tuned_model if job else None)
    if candidate is None:
        assert job is not None, "planned with neither a candidate nor a job"
        raise UsageError(
            f"{job.id} has no model yet, its status is {job.status!r}",
            remedy="wait for it, or give --candidate MODEL",
        )
    seats: dict[Role, Seat] = {"candidate": plans["candidate"].seat(candidate, home)}
    for role, plan in plans.items():
        if role != "candidate":
            assert plan.model is not None, "only a candidate is found out"
            seats[role] = plan.seat(plan.model, endpoints[role])
    if settings.base is None and job is not None and job.model:  # the job knows better than any name
        seats["base"] = plans["candidate"].seat(job.model, home)
    promotion = in_production(settings)
    seats = without_itself(seats, settings)
    if promotion is not None:
        teller.say(_who_is_promoted(promotion, is_compared="promoted" in seats))
    if not {"base", "promoted"} & set(seats):
        teller.say(
            "nothing to compare the candidate with, so the verdict will be undecided: give --base MODEL"
        )
    curve = training.curve_of(home, job) if job is not None else None
    return Lineup(seats=seats, job=job, curve=curve, data=data)


def _who_is_promoted(promotion: Promotion, *, is_compared: bool) -> str:
    what = f"in production: {promotion.model}, promoted {promotion.at} with {promotion.run}"
    without = "compared with it (--promoted none does without)"
    return (
        f"{what}; {without if is_compared else 'it is the candidate itself, which is compared with the base'}"
    )


def _local_endpoint(place: LocalPlace) -> Endpoint:
    if place.model != EMBEDDED_MODEL:
        raise UsageError(
            f"the local server at {place.endpoint.base_url} serves {place.model}, not {EMBEDDED_MODEL}",
            remedy=f"stop it, or judge its models with --base-url {place.endpoint.base_url}",
        )
    return place.endpoint


# --- other processes -------------------------------------------------------------------------------


def handover(lineup: Lineup) -> dict[str, Json]:
    """What another process needs to sit at the same table; no key is in it."""
    local = next((seat.endpoint for seat in lineup.seats.values() if seat.embedded), None)
    return {
        "models": {role: seat.model for role, seat in lineup.seats.items()},
        "local": {"label": local.label, "base_url": local.base_url} if local else None,
    }


def taken_over(
    settings: Settings, environment: Mapping[str, str], given: Mapping[str, Json]
) -> dict[Role, Seat]:
    """The seats of a `handover`, with the keys this process finds in its own environment."""
    models, local = given["models"], given["local"]
    assert isinstance(models, Mapping), "not a handover"
    plans = {role: plan for role, plan in plan_seats(settings, environment).items() if role in models}
    if "base" in models:
        plans.setdefault("base", plans["candidate"])  # the base the job told of is where the candidate is
    endpoints = _remote(plans, environment)
    if isinstance(local, Mapping):
        server = Endpoint(label=str(local["label"]), base_url=str(local["base_url"]), api_key=LOCAL_KEY)
        endpoints = {role: endpoints.get(role, server) for role in plans}
    return {role: plan.seat(str(models[role]), endpoints[role]) for role, plan in plans.items()}
