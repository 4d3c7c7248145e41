"""What the machine's environment says about asking an endpoint: keys, proxies, headers. Read when the first request is made."""

import importlib
import os
import ssl
from dataclasses import field
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from harness.errors import EndpointError
from harness.models.exchange import KeylessError
from harness.records import Endpoint, record
from harness.redaction import redact, secrets_of, without_user

CONNECT_TIMEOUT_S = 10.0
"""A host that does not answer the handshake will not answer the question; the official client's default is 5."""
KEYLESS = "none"
"""What a server without authentication is sent; clients refuse to start with no key at all."""
# The official client's own variables and defaults.
_KEY = "OPENAI_API_KEY"
_BASE_URL = "OPENAI_BASE_URL"
_DEFAULT_BASE_URL = "https://api.openai.com/v1"
_HEADERS = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}
# Headers that the official client alone knows how to read.
_CUSTOM_HEADERS = "OPENAI_CUSTOM_HEADERS"
_PROXIED = ("http", "https", "all")


@record
class Address:
    """Where and how to ask: a base URL without a user, the headers of every request, the key in one of them.

    `secrets` are what of it nobody may repeat.
    """

    base_url: str = field(repr=False)
    key: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def query(self) -> dict[str, str]:
        """What stands behind the base URL's question mark."""
        return dict(parse_qsl(urlsplit(self.base_url).query))

    def url(self, path: str) -> str:
        """A URL below the base URL, whose query it keeps."""
        parts = urlsplit(self.base_url)
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path, fragment=""))


def address_of(endpoint: Endpoint) -> Address:
    """Where and how an endpoint is asked, with what the environment adds as the official client does.

    Raises:
        KeylessError: No key is given, and none in the environment.
    """
    base_url = endpoint.base_url or os.environ.get(_BASE_URL) or _DEFAULT_BASE_URL
    key = endpoint.api_key or os.environ.get(_KEY) or (KEYLESS if endpoint.base_url else None)
    if key is None:
        raise KeylessError("no key is given, and none in the environment")
    headers = {
        "Authorization": f"Bearer {key}",
        "Accept": "application/json",
        "Content-Type": "application/json",
    }
    headers |= {header: value for name, header in _HEADERS.items() if (value := os.environ.get(name))}
    own = os.environ.get(_CUSTOM_HEADERS, "")
    told = dict(line.split(":", 1) for line in own.splitlines() if ":" in line)
    secrets = secrets_of(base_url, {**headers, **told})
    # As the client does it: a user in the URL is who asks, not the key.
    base_url, user = without_user(base_url)
    if user is not None:
        headers["Authorization"] = user
        secrets += (user, user.split()[1])
    return Address(base_url=base_url, key=key, headers=headers, secrets=secrets)


def is_plain(address: Address) -> bool:
    """Whether an endpoint can be asked without the official client: not through proxies, or with headers of one's own."""
    is_http = urlsplit(address.base_url).scheme in {"http", "https"}
    return is_http and not os.environ.get(_CUSTOM_HEADERS) and not _is_proxied(address.base_url)


def _is_proxied(base_url: str) -> bool:
    proxies = getproxies()
    host = urlsplit(base_url).hostname or ""
    return any(scheme in proxies for scheme in _PROXIED) and not proxy_bypass(host)


def trusted_certificates() -> ssl.SSLContext:
    """The certificates that the official client trusts: the operating system's, or those the environment names.

    Raises:
        EndpointError: They cannot be read.
    """
    try:
        # Not imported above: a server of one's own is asked without certificates.
        trusted: ssl.SSLContext = importlib.import_module("httpx2").create_ssl_context()
    except OSError as error:
        raise unconnectable(error) from error
    return trusted


def unconnectable(error: Exception) -> EndpointError:
    """No connection can be set up, for a reason that is not the endpoint's.

    The reasons are of many kinds: a proxy's URL that is none, a scheme that needs a package, a missing or empty bundle of certificates.
    """
    return EndpointError(
        f"no connection can be set up: {redact(str(error))}",
        remedy="check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR in the environment",
    )
