"""What must not be shown: keys and tokens cut out of text that came from outside, and of URLs."""

import base64
import contextlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

CUT = "[redacted]"
# Shorter "secrets" are placeholders such as `none`, and cutting those would garble the message.
MIN_SECRET_LENGTH = 8
# In what a model says only what is surely no word is cut: servers without keys are given `anything` for one.
MIN_KEY_LENGTH = 16

_PATTERNS = (
    # URL credentials: scheme://user:password@host; a password may hold an @ of its own.
    (re.compile(r"(?<=://)[^\s/]+@"), f"{CUT}@"),
    # What a URL's query calls a key, whatever the words around it.
    (re.compile(r"(?i)(?<=[?&])([\w-]*(?:token|key|auth|secret|pass)[\w-]*)=[^\s&#\"']+"), rf"\1={CUT}"),
    # Header and parameter forms: Authorization: Bearer x, api-key=x, "access_token": "x"
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=*-]{6,}"), rf"\1 {CUT}"),
    (
        re.compile(
            r"(?i)\b((?:x-)?api[-_ ]?key|(?:access|auth)[-_]token|secret|password|sig|signature)"
            r"([\"']?\s*[=:]\s*[\"']?)(?!\[)[^\s\"'&,;]+"
        ),
        rf"\1\2{CUT}",
    ),
    # Keys by their shape: OpenAI and its imitators (also as providers mask them, `sk-ab***yz`),
    # Hugging Face, Groq, xAI, Google, GitHub, and JSON web tokens.
    (re.compile(r"\b(?:sk|pk|rk)-[\w*-]{6,}"), CUT),
    (re.compile(r"\b(?:hf_|gsk_|xai-|ghp_|AIza)[\w*-]{8,}"), CUT),
    # The first part of a token of the last kind is short, and bounded so that no text takes long to look through.
    (re.compile(r"\beyJ[\w-]{8,1000}\.[\w-]{8,}(?:\.[\w-]*)?"), CUT),
)


def redact(text: str, *secrets: str | None) -> str:
    """The text without the given secrets and without anything shaped like a key or a token."""
    text = cut(text, secrets)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def cut(text: str, secrets: Iterable[str | None], *, shortest: int = MIN_SECRET_LENGTH) -> str:
    """The text without the given secrets, as they are and as JSON and URLs spell them."""
    for secret in secrets:
        for form in _forms(secret) if secret and len(secret) >= shortest else ():
            if form in text:
                text = text.replace(form, CUT)
    return text


def _forms(secret: str) -> Iterator[str]:
    yield secret
    if not secret.isalnum():
        yield json.dumps(secret)[1:-1]
        yield secret.replace("/", r"\/")
        yield quote(secret, safe="")


# --- URLs and requests ---------------------------------------------------------------------------------

# What Azure has in its URLs.
_VERSION = "api-version"
# Headers that say nothing about who asks.
_ORDINARY = re.compile(r"(?i)host|accept.*|content-.*|connection|user-agent|transfer-encoding|x-stainless-.*")


def public_url(url: str) -> str:
    """A base URL as it may be shown and stored: without user, password, query."""
    return re.sub(r"[?#].*$", "", re.sub(r"//[^/]*@", "//", url)).rstrip("/")


def without_user(url: str) -> tuple[str, str | None]:
    """A URL without the user and password in it, and the Authorization header that says the same."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    token = base64.b64encode(unquote(user).encode("utf-8")).decode("ascii")
    return urlunsplit(parts._replace(netloc=host)), f"Basic {token}"


def secrets_of(url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What a request carries that nobody may repeat: the values of headers of its own, of its URL's user and query."""
    parts = urlsplit(url)
    found = [
        *(value for name, value in headers.items() if not _ORDINARY.fullmatch(name)),
        *parts.netloc.split("@")[:-1],
    ]
    found += [value for name, value in parse_qsl(parts.query) if name != _VERSION]
    words = [word for value in found for word in (value, *value.split())]
    if parts.password:
        words += [parts.password, unquote(parts.password)]
    return tuple(dict.fromkeys(word for word in words if len(word) >= MIN_SECRET_LENGTH))


# --- what libraries log --------------------------------------------------------------------------------

# The official client and what it sends with: both tell the URL of a request, with its query.
_TALKATIVE = ("httpx2", "openai._base_client")


class _Censor(logging.Filter):
    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without the secrets in it."""
        record.msg, record.args = redact(record.getMessage(), *self._secrets), None
        return True


@contextlib.contextmanager
def discreet_logs(secrets: Iterable[str]) -> Iterator[None]:
    """Inside, what the official client logs of its requests has none of the secrets in it."""
    censor = _Censor(tuple(secrets))
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    for logger in loggers:
        logger.addFilter(censor)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(censor)
