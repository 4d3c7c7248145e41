"""How one exchange with an endpoint can end without an answer: the same few exceptions whichever client asked."""

from collections.abc import Mapping

from harness.records import Json
from harness.serial import read_json, shown

# Of an envelope that nobody knows; whoever shows it cuts it further.
_SHOWN = 1000


class ExchangeError(Exception):
    """No answer came, after all retries."""


class TimedOutError(ExchangeError):
    """Nothing, or not all of it, came in time."""


class BrokenConnectionError(ExchangeError):
    """The connection failed or broke off; `is_unreachable` where nobody is there, so that every request will meet it."""

    def __init__(self, words: str, *, is_unreachable: bool = False) -> None:
        super().__init__(words)
        self.is_unreachable = is_unreachable


class UnreadableError(ExchangeError):
    """Something came that is no answer of any kind."""


class KeylessError(ExchangeError):
    """There is no key to ask with."""


class RefusedError(ExchangeError):
    """An HTTP status that is no success.

    Attributes:
        status: The HTTP status.
        body: What came with it: parsed where it is JSON (the envelope's `error` where there is one), else text.
        code: `code` of OpenAI's error envelope.
        kind: `type` of it.
        param: `param` of it.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = _error_in(text)
        named = self.body if isinstance(self.body, Mapping) else {}
        self.code, self.kind, self.param = (_name(named.get(key)) for key in ("code", "type", "param"))

    @property
    def words(self) -> str:
        """What the provider said, wherever its envelope keeps it; a page of HTML says nothing."""
        return _words(self.body)


def _error_in(text: str) -> Json:
    try:
        data: Json = read_json(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(data, dict) and data.get("error"):
        return data["error"]
    return data


def _name(value: Json) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _words(body: Json) -> str:
    if isinstance(body, str):
        return "" if body.lstrip().startswith("<") else body
    if not isinstance(body, Mapping):
        return ""
    for name in ("message", "detail", "error"):
        if value := body.get(name):
            return value if isinstance(value, str) else _words(value) or shown(value, limit=_SHOWN)
    return ""
