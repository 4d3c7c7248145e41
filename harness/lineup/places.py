"""Where fine-tuning jobs are made and kept: a configured endpoint, OpenAI, or the local server."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from harness.config import (
    EMBEDDED_MODEL,
    LOCAL,
    OPENAI,
    ModelSettings,
    Settings,
    endpoint_of,
)
from harness.dataset import Price
from harness.errors import UsageError
from harness.lineup.embedded import FOLDER, local_place
from harness.lineup.fine_tuning import configured_price
from harness.lineup.preparation import LEDGER, STATE
from harness.lineup.seats import place_name, plan_seat
from harness.lineup.telling import Teller
from harness.records import Endpoint, record
from harness.redaction import public_url
from harness.serial import nearest


@record
class PlacePlan:
    """A place before anything is started.

    `name` is what this project calls it: `local`, `openai`, a name under `models`, or a URL. `model` is the base a job
    there would tune, None where nobody has named one; `settings` is None for the local server.
    """

    name: str
    model: str | None
    settings: ModelSettings | None
    price: Price

    @property
    def embedded(self) -> bool:
        """Whether it is this machine's own server."""
        return self.settings is None


@record
class Place:
    """A place that can be asked. `lasting` is False for a local server that ends with the command."""

    name: str
    endpoint: Endpoint
    model: str | None
    lasting: bool = True


def plan_place(settings: Settings, environment: Mapping[str, str], *, base: str | None = None) -> PlacePlan:
    """Where a job on this base is made, and without a name, on the configured base or backend."""
    plan = plan_seat(settings, base or settings.base, environment)
    if plan.settings is None:
        return PlacePlan(name=LOCAL, model=plan.model or EMBEDDED_MODEL, settings=None, price=Price())
    model = plan.model or plan.settings.model or None
    return PlacePlan(
        name=place_name(settings, plan),
        model=model,
        settings=plan.settings,
        price=configured_price(settings, plan, model),
    )


def place_named(settings: Settings, name: str, environment: Mapping[str, str]) -> PlacePlan:
    """The place that a ledger or a flag calls by this name.

    Raises:
        UsageError: Nothing of this name is configured.
    """
    if settings.base_url is not None or name in {LOCAL, OPENAI} or name in settings.models:
        return plan_place(
            replace(settings, backend=name if settings.base_url is None else None, base=None), environment
        )
    # A record may name an endpoint by its URL that has a table, or had none then.
    named = (
        table
        for table, model in settings.models.items()
        if model.base_url and public_url(model.base_url) == name
    )
    if (table := next(named, None)) is not None:
        return place_named(settings, table, environment)
    if "://" in name:
        raise UsageError(f"it was made at {name}, which is not configured", remedy=f"add --base-url {name}")
    known = (LOCAL, OPENAI, *settings.models)
    raise UsageError(f"{name!r} is no configured endpoint", remedy=nearest(name, known))


@contextlib.contextmanager
def open_place(
    plan: PlacePlan,
    settings: Settings,
    environment: Mapping[str, str],
    *,
    teller: Teller,
    joins_any: bool = False,
) -> Iterator[Place]:
    """The place, ready to be asked; a local server that is started for it ends with the block.

    Raises:
        UsageError: A key is missing.
        EndpointError: The local server cannot start.
    """
    if plan.settings is not None:
        yield Place(name=plan.name, endpoint=endpoint_of(plan.settings, environment), model=plan.model)
        return
    with local_place(local_state(settings), teller, joins_any=joins_any) as local:
        # A server of another model trains that one: it has no other.
        model = local.model if plan.model == EMBEDDED_MODEL else plan.model
        yield Place(name=LOCAL, endpoint=local.endpoint, model=model, lasting=local.lasting)


def local_state(settings: Settings) -> Path:
    """The folder of the local server."""
    return settings.path(Path(STATE)) / FOLDER


def ledger_of(settings: Settings) -> Path:
    """The file in which jobs are written down."""
    return settings.path(Path(STATE)) / LEDGER
