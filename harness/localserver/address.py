"""Where does the server of a state folder listen? A folder has one server; other commands find it here and join it.

Standard library only, as the launcher.
"""

import contextlib
import http.client
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

ADDRESS = "server.json"
# A server on this machine answers at once, also while it trains.
ANSWER_TIMEOUT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Address:
    """A running server: `lasting` is one that a person started, not one that ends with some command.

    `keyed` is one that wants a key, which is nowhere written down.
    """

    base_url: str
    model: str
    weights: str
    lasting: bool = False
    keyed: bool = False


def write_address(state: Path, ready: Mapping[str, object], *, lasting: bool, keyed: bool = False) -> None:
    """Tell other commands of the server that has said it is `ready`; a folder that cannot be written tells nobody."""
    address = Address(
        base_url=str(ready["base_url"]),
        model=str(ready["model"]),
        weights=str(ready["weights"]),
        lasting=lasting,
        keyed=keyed,
    )
    unfinished = state / f".{ADDRESS}.{secrets.token_hex(6)}"
    with contextlib.suppress(OSError):
        unfinished.write_text(json.dumps(asdict(address)) + "\n", encoding="utf-8")
        unfinished.replace(state / ADDRESS)


def remove_address(state: Path, *, base_url: str) -> None:
    """Forget the server at this URL; one that has come after it stays."""
    address = _read(state)
    if address is not None and address.base_url == base_url:
        with contextlib.suppress(OSError):
            (state / ADDRESS).unlink()


def running_server(state: Path) -> Address | None:
    """The server of a state folder, if there is one and it answers."""
    address = _read(state)
    return address if address is not None and _answers(address) else None


def _read(state: Path) -> Address | None:
    try:
        data = json.loads((state / ADDRESS).read_text(encoding="utf-8"))
        return Address(**{name: data[name] for name in Address.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _answers(address: Address) -> bool:
    """Whether the model is served there still: a port may have been given to another program since."""
    try:
        parts = urlsplit(address.base_url)
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port or 80, timeout=ANSWER_TIMEOUT_S
        )
        with contextlib.closing(connection):
            connection.request("GET", f"{parts.path}/models")
            reply = connection.getresponse()
            text = reply.read().decode("utf-8", "replace")
    except (OSError, ValueError, http.client.HTTPException):
        return False
    if address.keyed:
        return reply.status == http.HTTPStatus.UNAUTHORIZED
    return reply.status == http.HTTPStatus.OK and json.dumps(address.model) in text
