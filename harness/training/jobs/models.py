"""The models a provider has: listed, and deleted."""

from openai import NotFoundError

from harness.errors import EndpointError, UsageError
from harness.records import Endpoint, record
from harness.serial import nearest
from harness.training.jobs.connection import connected, listed, plain


@record
class OfferedModel:
    """One model of a provider's list; `created` is in Unix seconds, `last_day` the day it is shut down, where told."""

    id: str
    created: int | None = None
    owner: str = ""
    last_day: str | None = None


def list_models(endpoint: Endpoint) -> tuple[OfferedModel, ...]:
    """Every model the provider lists, in its order.

    Raises:
        EndpointError: The provider cannot be asked.
    """
    with connected(endpoint) as client:
        found = []
        for data in listed(client.models.list):
            created, owner, last_day = data.get("created"), data.get("owned_by"), data.get("shutdown_date")
            found.append(
                OfferedModel(
                    id=str(data.get("id") or ""),
                    created=int(created) if isinstance(created, int | float) else None,
                    owner=owner if isinstance(owner, str) else "",
                    last_day=last_day if isinstance(last_day, str) else None,
                )
            )
    return tuple(found)


def delete_model(endpoint: Endpoint, model: str) -> None:
    """Delete a model for good.

    Raises:
        EndpointError: There is none of this name, or the provider refused.
        UsageError: The name is empty.
    """
    if not model:
        raise UsageError("a model's name is empty", remedy="`harness models list` has their names")
    with connected(endpoint) as client:
        try:
            reply = plain(client.models.delete(model))
        except NotFoundError:
            known = [str(data.get("id")) for data in listed(client.models.list)]
            raise EndpointError(
                f"{endpoint.label} has no model {model}",
                remedy=nearest(model, known) or "`harness models list` has their names",
            ) from None
    if reply.get("deleted") is False:
        raise EndpointError(f"{endpoint.label} did not delete {model}", remedy="only its owner may do that")
