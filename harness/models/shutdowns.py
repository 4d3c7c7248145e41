"""When will an endpoint stop serving its models? One cheap call; whoever does not tell is not asked twice."""

from collections.abc import Mapping
from datetime import date, datetime, timezone

from httpx2 import Client, HTTPError, InvalidURL

from harness.models.exchange import ExchangeError
from harness.models.surroundings import address_of
from harness.records import Endpoint, Json
from harness.redaction import discreet_logs
from harness.serial import read_json

# A courtesy to the user, which must not hold up a run.
LIMIT_S = 5.0


def shutdown_dates(endpoint: Endpoint, *, limit_s: float = LIMIT_S) -> Mapping[str, str]:
    """The last days (`YYYY-MM-DD`) that an endpoint's list of models tells, by model id.

    Empty where it tells none, has no such list, or does not answer within `limit_s` seconds a step: never an error.
    """
    try:
        address = address_of(endpoint)
        with (
            discreet_logs(address.secrets),
            Client(timeout=limit_s, headers=address.headers, follow_redirects=True) as client,
        ):
            reply = client.get(address.url("/models"))
            return read_shutdown_dates(reply.text) if reply.is_success else {}
    except (HTTPError, InvalidURL, ExchangeError, ValueError, OSError, ImportError):
        # A proxy's URL that is none, a missing bundle, no key: who asks for answers tells them.
        return {}


def read_shutdown_dates(text: str) -> dict[str, str]:
    """The last days in a list of models: `shutdown_date` (OpenAI, since August 2026) or `deprecation.inference` (Azure)."""
    try:
        listed: Json = read_json(text)
    except (ValueError, RecursionError):
        return {}
    models = listed.get("data") if isinstance(listed, dict) else listed
    found = {}
    for model in models if isinstance(models, list) else []:
        if isinstance(model, dict) and isinstance(model.get("id"), str) and (day := _last_day(model)):
            found[model["id"]] = day
    return found


def _last_day(model: Mapping[str, Json]) -> str | None:
    day = model.get("shutdown_date")
    if isinstance(day, str):
        try:
            return date.fromisoformat(day[:10]).isoformat()
        except ValueError:
            return None
    deprecation = model.get("deprecation")
    moment = deprecation.get("inference") if isinstance(deprecation, dict) else None
    if isinstance(moment, bool) or not isinstance(moment, int):
        return None
    try:
        return datetime.fromtimestamp(moment, timezone.utc).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return None
