"""Where several models are trained from one base and asked: an endpoint that trains, and everybody else's seats."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from harness.config import LOCAL, Settings, endpoint_of
from harness.dataset import Price, price_of
from harness.errors import UsageError
from harness.lineup.embedded import local_place
from harness.lineup.fine_tuning import configured_price
from harness.lineup.places import local_state
from harness.lineup.seats import Seat, SeatPlan, plan_seats
from harness.lineup.telling import Teller
from harness.records import Endpoint, Role, record


@record
class GroundPlan:
    """A ground before anything is started: who will sit where, and what a training and an answer cost there."""

    base: str
    plans: Mapping[Role, SeatPlan]
    price: Price

    @property
    def embedded(self) -> bool:
        """Whether models are trained by this machine's own server."""
        return self.plans["candidate"].embedded

    @property
    def train_price(self) -> float | None:
        """USD for 1M trained tokens; None where no price is known."""
        if self.embedded:
            return 0.0
        listed = price_of(self.base)
        return self.price.train if self.price.train is not None else listed.train if listed else None

    def seats(self) -> dict[Role, Seat]:
        """The seats to estimate with: the candidate is any model that will be tuned from the base."""
        nowhere = Endpoint(label="")
        return {
            role: plan.seat(f"ft:{self.base}" if plan.model is None else plan.model, nowhere)
            for role, plan in self.plans.items()
        }


@record
class Ground:
    """An open ground: the endpoint that trains and serves, and the endpoints of all roles."""

    plan: GroundPlan
    endpoints: Mapping[Role, Endpoint]

    @property
    def endpoint(self) -> Endpoint:
        """Where models are trained, and asked."""
        return self.endpoints["candidate"]

    @property
    def place(self) -> str:
        """What this project calls the endpoint."""
        return LOCAL if self.plan.embedded else self.endpoint.label

    def seats(self, candidate: str) -> dict[Role, Seat]:
        """The seats with a trained model as the candidate."""
        return {
            role: plan.seat(candidate if role == "candidate" else plan.model or "", self.endpoints[role])
            for role, plan in self.plan.plans.items()
        }


def plan_ground(settings: Settings, environment: Mapping[str, str]) -> GroundPlan:
    """Who plays which role when models are trained from the configured base.

    Raises:
        UsageError: No training file, or no base.
    """
    if settings.train is None:
        raise UsageError(
            "there is nothing to train on", remedy='give --train FILE, or set `train = "train.jsonl"`'
        )
    plans = plan_seats(replace(settings, candidate=None, job=None), environment)
    base = plans["base"].model if "base" in plans else None
    if base is None:
        raise UsageError("no base model to fine-tune", remedy="give --model MODEL or set `base`")
    return GroundPlan(base=base, plans=plans, price=configured_price(settings, plans["base"], base))


@contextlib.contextmanager
def open_ground(
    plan: GroundPlan,
    settings: Settings,
    environment: Mapping[str, str],
    *,
    teller: Teller,
    state: Path | None = None,
) -> Iterator[Ground]:
    """The ground, ready to train; a local server that is started for it ends with the block.

    Args:
        plan: From `plan_ground`.
        settings: The project's.
        environment: Where keys are.
        teller: Told what is started.
        state: The local server's folder, where that is not the project's.

    Raises:
        HarnessError: The local server cannot start, or a key is not set.
    """
    endpoints = _endpoints(plan.plans, environment)
    with contextlib.ExitStack() as stack:
        if len(endpoints) < len(plan.plans):
            local = stack.enter_context(local_place(state or local_state(settings), teller))
            endpoints = {role: endpoints.get(role, local.endpoint) for role in plan.plans}
        yield Ground(plan=plan, endpoints=endpoints)


def _endpoints(plans: Mapping[Role, SeatPlan], environment: Mapping[str, str]) -> dict[Role, Endpoint]:
    """Those of everything that is not on the local server."""
    return {
        role: endpoint_of(replace(plan.settings, model=plan.model or plan.settings.model), environment)
        for role, plan in plans.items()
        if plan.settings is not None
    }
