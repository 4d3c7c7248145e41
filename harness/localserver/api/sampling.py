"""The parameters chat and text completions share: how tokens are chosen, how many answers, what is streamed."""

from collections.abc import Mapping

from harness.localserver.api.inference import Sampling
from harness.localserver.api.parameters import Parameters, wrong_type
from harness.localserver.api.wire import ApiError

# OpenAI's limits.
MAX_ANSWERS = 128
MAX_STOP_SEQUENCES = 4
MAX_BIASES = 1024
MAX_BIAS = 100
MAX_PENALTY = 2
# Any completion length a JSON integer may name; the context is what limits it.
MAX_TOKENS = 2**31 - 1
SEED_RANGE = (-(2**63), 2**63 - 1)

SAMPLING_KEYS = (
    "temperature",
    "top_p",
    "seed",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
)
STREAM_KEYS = ("stream", "stream_options")


def read_sampling(body: Parameters) -> Sampling:
    """How tokens are chosen.

    Raises:
        ApiError: A value of another type or out of range.
    """
    low, high = SEED_RANGE
    temperature = body.decimal("temperature", low=0, high=2)
    top_p = body.decimal("top_p", low=0, high=1)
    return Sampling(
        temperature=1.0 if temperature is None else temperature,
        top_p=1.0 if top_p is None else top_p,
        seed=body.integer("seed", low=low, high=high),
        stop=_stop(body),
        frequency_penalty=_penalty(body, "frequency_penalty"),
        presence_penalty=_penalty(body, "presence_penalty"),
        logit_bias=_logit_bias(body),
    )


def read_answers(body: Parameters) -> int:
    """`n`, how many answers to each prompt."""
    return body.integer("n", low=1, high=MAX_ANSWERS) or 1


def read_stream(body: Parameters) -> tuple[bool, bool]:
    """Whether the answer is streamed, and whether usage is reported at the end of the stream.

    Raises:
        ApiError: `stream_options` without a stream, or options that are none.
    """
    stream = read_flag(body, "stream")
    options = body.object("stream_options")
    if options is None:
        return stream, False
    if not stream:
        raise ApiError(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    options.refuse_unknown(("include_usage", "include_obfuscation"))
    # Obfuscation pads chunks against listeners on the way; leaving it out changes no content.
    read_flag(options, "include_obfuscation")
    return stream, read_flag(options, "include_usage")


def read_flag(body: Parameters, key: str) -> bool:
    """A boolean, false when absent."""
    value = body.value(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise wrong_type(body.name(key), value, expected="a boolean")
    return value


def _penalty(body: Parameters, key: str) -> float:
    return body.decimal(key, low=-MAX_PENALTY, high=MAX_PENALTY) or 0.0


def _stop(body: Parameters) -> tuple[str, ...]:
    value = body.value("stop")
    if value is None:
        return ()
    sequences = [value] if isinstance(value, str) else value
    if not isinstance(sequences, list) or not all(isinstance(item, str) for item in sequences):
        raise wrong_type("stop", value, expected="a string or an array of strings")
    if len(sequences) > MAX_STOP_SEQUENCES:
        raise ApiError(
            f"Invalid 'stop': array too long. Expected an array with maximum length {MAX_STOP_SEQUENCES}, but "
            f"got an array with length {len(sequences)} instead.",
            param="stop",
            code="array_above_max_length",
        )
    return tuple(item for item in sequences if item)


def _logit_bias(body: Parameters) -> Mapping[int, float]:
    value = body.value("logit_bias")
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise wrong_type("logit_bias", value, expected="an object")
    if len(value) > MAX_BIASES:
        raise ApiError(
            f"Invalid 'logit_bias': too many properties. Expected an object with at most {MAX_BIASES} properties, "
            f"but got an object with {len(value)} properties instead.",
            param="logit_bias",
            code="object_above_max_properties",
        )
    biases = Parameters(value, "logit_bias")
    return {_token(key): biases.decimal(key, low=-MAX_BIAS, high=MAX_BIAS) or 0.0 for key in value}


def _token(key: str) -> int:
    # No vocabulary has ten million tokens, and Python refuses to read integers of thousands of digits.
    if not (key.isascii() and key.isdecimal() and len(key) < 8):
        raise ApiError(
            f"Invalid key in 'logit_bias': {key[:40]}. You should only be using token ids, non-negative integers.",
            param="logit_bias",
            code="invalid_value",
        )
    return int(key)
