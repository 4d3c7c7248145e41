"""When will an endpoint stop serving its models? One cheap call; whoever does not tell is not asked twice."""

from collections.abc import Mapping
from datetime import date, datetime, timezone
from http.client import HTTPException
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener, getproxies

from harness.errors import EndpointError
from harness.models.exchange import ExchangeError
from harness.models.surroundings import address_of, trusted_certificates
from harness.records import Endpoint, Json
from harness.serial import read_json

# A courtesy to the user, which must not hold up a run.
LIMIT_S = 5.0
LONGEST_LIST = 16 * 2**20
"""Bytes; a list of ten thousand models has two million."""


class _NoRedirects(HTTPRedirectHandler):
    """A redirect is not followed: urllib would send the key along, wherever it leads."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


def shutdown_dates(endpoint: Endpoint, *, limit_s: float = LIMIT_S) -> Mapping[str, str]:
    """The last days (`YYYY-MM-DD`) that an endpoint's list of models tells, by model id.

    Empty where it tells none, has no such list, or does not answer within `limit_s` seconds a step: never an error.
    """
    try:
        address = address_of(endpoint)
        scheme = urlsplit(address.base_url).scheme
        if scheme not in {"http", "https"}:
            return {}
        # The standard library's client, since others take longer to load than the call does.
        handlers = [_NoRedirects(), ProxyHandler(_proxies())]
        if scheme == "https":
            handlers.append(HTTPSHandler(context=trusted_certificates()))
        request = Request(address.url("/models"), headers=address.headers)  # noqa: S310 - the scheme was looked at
        with build_opener(*handlers).open(request, timeout=limit_s) as reply:
            return read_shutdown_dates(reply.read(LONGEST_LIST).decode("utf-8", "replace"))
    except (HTTPException, EndpointError, ExchangeError, ValueError, OSError):
        # A proxy's URL that is none, a missing bundle, no key: who asks for answers tells them.
        return {}


def _proxies() -> dict[str, str]:
    """The environment's proxies, with the one for everything where a scheme has none of its own."""
    found = getproxies()
    return {scheme: proxy for scheme in ("http", "https") if (proxy := found.get(scheme) or found.get("all"))}


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
