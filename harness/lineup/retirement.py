"""Until which day is each model of a run served? What the configuration, the endpoints and the dated table know."""

from collections.abc import Iterator, Mapping

from harness.dataset import base_of, price_of
from harness.lineup.seats import Seat
from harness.models import shutdown_dates
from harness.records import Endpoint, Retirement, Role, TrainingJob

DatesByEndpoint = Mapping[Endpoint, Mapping[str, str]]
"""What endpoints tell: the last day of a model, by its id."""


def ask_shutdown_dates(seats: Mapping[Role, Seat]) -> DatesByEndpoint:
    """One call to each endpoint of the run; the local model is nobody's to shut down."""
    endpoints = dict.fromkeys(seat.endpoint for seat in seats.values() if not seat.embedded)
    return {endpoint: shutdown_dates(endpoint) for endpoint in endpoints}


def retirements_of(
    seats: Mapping[Role, Seat], told: DatesByEndpoint, *, job: TrainingJob | None = None
) -> tuple[Retirement, ...]:
    """The last day of each model of the run that has one that is known.

    A fine-tune lives no longer than its base. The configuration knows better than the endpoint, and the endpoint better
    than the table.

    Args:
        seats: Who plays which role.
        told: What the endpoints tell.
        job: The job the candidate came from, which knows its base when its name does not.
    """
    found = (_retirement(role, seat, seats=seats, told=told, job=job) for role, seat in seats.items())
    return tuple(retirement for retirement in found if retirement is not None)


def _retirement(
    role: Role, seat: Seat, *, seats: Mapping[Role, Seat], told: DatesByEndpoint, job: TrainingJob | None
) -> Retirement | None:
    if seat.embedded:
        return None
    behind = job.model if role == "candidate" and job is not None else None
    names = dict.fromkeys([seat.model, base_of(seat.model), *([behind, base_of(behind)] if behind else [])])
    configured = {
        other.model: other.last_day
        for other in seats.values()
        if other.last_day is not None and other.endpoint == seat.endpoint
    }
    sources = (("configuration", configured), ("endpoint", told.get(seat.endpoint, {})))
    for teller, days in sources:
        if known := {name: days[name] for name in names if name in days}:
            first = min(known, key=lambda name: known[name])
            return _of(role, seat, day=known[first], name=first, told_by=teller)
    return next(_by_table(role, seat, names), None)


def _by_table(role: Role, seat: Seat, names: Mapping[str, None]) -> Iterator[Retirement]:
    for name in names:
        price = price_of(name)
        if price is not None and price.shutdown is not None:
            yield _of(role, seat, day=price.shutdown, name=base_of(name), told_by=price.as_of or "")


def _of(role: Role, seat: Seat, *, day: str, name: str, told_by: str) -> Retirement:
    return Retirement(
        role=role,
        model=seat.model,
        day=day,
        told_by=told_by,
        tuned_from=name if name != seat.model else None,
    )
