"""The free key-value pairs callers attach to jobs and completions."""

from collections.abc import Mapping

from harness.localserver.api.parameters import Parameters, wrong_type
from harness.localserver.api.wire import ApiError

# OpenAI's limits.
MAX_PAIRS = 16
MAX_KEY_CHARACTERS = 64
MAX_VALUE_CHARACTERS = 512


def read_metadata(body: Parameters) -> Mapping[str, str] | None:
    """The pairs, or None when absent.

    Raises:
        ApiError: Too many, too long, or a value that is not a string.
    """
    metadata = body.value("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, Mapping):
        raise wrong_type("metadata", metadata, expected="an object")
    if len(metadata) > MAX_PAIRS:
        raise ApiError(
            f"Invalid 'metadata': too many properties. Expected an object with at most {MAX_PAIRS} properties, "
            f"but got an object with {len(metadata)} properties instead.",
            param="metadata",
            code="object_above_max_properties",
        )
    pairs = Parameters(metadata, "metadata")
    return {key: _value(pairs, key) for key in metadata}


def _value(pairs: Parameters, key: str) -> str:
    if len(key) > MAX_KEY_CHARACTERS:
        raise ApiError(
            f"Invalid 'metadata': a key is longer than {MAX_KEY_CHARACTERS} characters.",
            param="metadata",
            code="string_above_max_length",
        )
    value = pairs.text(key, longest=MAX_VALUE_CHARACTERS)
    if value is None:
        raise wrong_type(pairs.name(key), value, expected="a string")
    return value
