"""Reading a JSON body: what the caller sent, or the error OpenAI gives for it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from starlette.requests import Request

from harness.localserver.api.wire import ApiError

# Sixteen megabytes of JSON is thousands of times the context of any model served here.
MAX_BODY_BYTES = 16 * 2**20

_JSON = "application/json"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Parameters:
    """One JSON object of a request. `null` counts as absent, as it does at OpenAI."""

    def __init__(self, values: Mapping[str, object], path: str = "") -> None:
        self._values = values
        self._path = path

    def name(self, key: str) -> str:
        """A key as error messages write it, `method.supervised`."""
        return f"{self._path}.{key}" if self._path else key

    def present(self) -> Iterator[str]:
        """The keys that have a value."""
        return (key for key, value in self._values.items() if value is not None)

    def value(self, key: str) -> object:
        """The value as it was sent, None when absent."""
        return self._values.get(key)

    def refuse_unknown(self, known: Iterable[str]) -> None:
        """Raise for a key that means nothing here, rather than ignore what the caller hoped for."""
        allowed = set(known)
        for key in self._values:
            if key not in allowed:
                name = self.name(key)
                raise ApiError(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")

    def required(self, key: str) -> object:
        """The value, or the error for a missing parameter."""
        value = self._values.get(key)
        if value is None:
            name = self.name(key)
            raise ApiError(
                f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
            )
        return value

    def text(self, key: str, *, longest: int | None = None) -> str | None:
        """A string of at most `longest` characters, or None when absent."""
        value = self._values.get(key)
        if value is None:
            return None
        name = self.name(key)
        if not isinstance(value, str):
            raise wrong_type(name, value, expected="a string")
        if longest is not None and len(value) > longest:
            raise too_long(name, len(value), longest=longest)
        return value

    def required_text(self, key: str) -> str:
        """A string that must be there."""
        self.required(key)
        return self.text(key) or ""

    def integer(self, key: str, *, low: int, high: int) -> int | None:
        """A whole number in low..high, or None when absent."""
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong_type(self.name(key), value, expected="an integer")
        _check_range(self.name(key), value, low=low, high=high)
        return value

    def decimal(self, key: str, *, low: float, high: float) -> float | None:
        """A number in low..high, or None when absent."""
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise wrong_type(self.name(key), value, expected="a decimal")
        _check_range(self.name(key), value, low=low, high=high, kind="decimal")
        return float(value)

    def object(self, key: str) -> "Parameters | None":
        """A nested object, or None when absent."""
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise wrong_type(self.name(key), value, expected="an object")
        return Parameters(value, self.name(key))


def _check_range(name: str, value: float, *, low: float, high: float, kind: str = "integer") -> None:
    if value < low:
        side, sign, bound = "below minimum", ">=", low
    elif value > high:
        side, sign, bound = "above maximum", "<=", high
    else:
        return
    code = f"{kind}_below_min_value" if value < low else f"{kind}_above_max_value"
    raise ApiError(
        f"Invalid '{name}': {kind} {side} value. Expected a value {sign} {bound}, but got "
        f"{_short(value)} instead.",
        param=name,
        code=code,
    )


def _short(value: float) -> str:
    try:
        text = str(value)
    except ValueError:  # Python does not write out integers of thousands of digits
        return "a number too long to print"
    return text if len(text) <= 40 else f"{text[:40]}..."


def wrong_type(name: str, value: object, *, expected: str) -> ApiError:
    """The error for a value of another type."""
    return ApiError(
        f"Invalid type for '{name}': expected {expected}, but got {type_name(value)} instead.",
        param=name,
        code="invalid_type",
    )


def too_long(name: str, length: int, *, longest: int) -> ApiError:
    """The error for a string of more characters than are taken."""
    return ApiError(
        f"Invalid '{name}': string too long. Expected a string with maximum length {longest}, "
        f"but got a string with length {length} instead.",
        param=name,
        code="string_above_max_length",
    )


def unsupported(name: str, *, remedy: str = "") -> ApiError:
    """The error for a parameter that OpenAI knows and this server does not: it would change the answer."""
    return ApiError(
        f"Unsupported parameter: '{name}' is not supported with this model."
        + (f" {remedy}" if remedy else ""),
        param=name,
        code="unsupported_parameter",
    )


def type_name(value: object) -> str:
    """A JSON type in the words of OpenAI's messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a decimal"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, Sequence) else "an object"


def declared_length(request: Request) -> int:
    """The bytes a request says its body has, 0 when it does not say."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def unsupported_content_type(header: str, *, accepted: str) -> ApiError:
    """The error for a body of another kind."""
    kind = header.partition(";")[0].strip()
    return ApiError(
        f"Unsupported content type: '{kind[:80]}'. This API method only accepts '{accepted}' requests, but you "
        f"specified the header 'Content-Type: {header[:80]}'. Please try again with a supported content type.",
        code="unsupported_content_type",
    )


async def read_body(request: Request) -> Parameters:
    """The JSON object of a request. Of a key that stands in it twice, the last value counts.

    Raises:
        ApiError: Too large (413), of another content type, not JSON or not an object (400).
    """
    header = request.headers.get("content-type")
    # A form or a plain text is what a web page can send without asking first; no client sends those.
    if header is not None and header.partition(";")[0].strip().lower() != _JSON:
        raise unsupported_content_type(header, accepted=_JSON)
    if declared_length(request) > MAX_BODY_BYTES:
        raise _body_too_large()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _body_too_large()
    try:
        values = _parsed(bytes(body))
    except (ValueError, RecursionError) as error:
        raise ApiError(
            f"We could not parse the JSON body of your request: {_reason(error)}. The API expects a JSON payload."
        ) from None
    if not isinstance(values, dict):
        raise ApiError(f"The body of the request must be a JSON object, but got {type_name(values)} instead.")
    return Parameters(values)


def _parsed(body: bytes) -> object:
    # Decoded here, because json.loads takes bytes of UTF-16 too, and RFC 8259 does not.
    values: object = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    if _SURROGATE.search(body):
        json.dumps(values, ensure_ascii=False).encode()
    return values


def _body_too_large() -> ApiError:
    return ApiError(
        f"The body of the request has more than the {MAX_BODY_BYTES} bytes that are taken.",
        status=413,
        code="request_too_large",
    )


class _NotJsonError(ValueError):
    """What Python's reader would take and JSON does not have."""


def _refuse_constant(name: str) -> object:
    raise _NotJsonError(f"{name} is not JSON")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeError):
        return "it is not valid Unicode"
    # What else Python's reader refuses with a ValueError is an integer of thousands of digits.
    known = isinstance(error, json.JSONDecodeError | _NotJsonError)
    return str(error) if known else "a number has too many digits"
