"""Can answers be held to this JSON Schema, and what does llguidance make of it?

A schema comes from whoever asks, and some short ones take minutes to compile. Nothing can stop that within a process, so a schema
that may be of this kind is first tried in a process of its own, which is ended after seconds: `python -m` this module.
It knows nothing of torch, to start quickly.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

from harness.errors import EndpointError, UsageError

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    # Only in the package's stubs.
    from llguidance._lib import JsonCompileOptions

# Between the parts of an object or a list at most one space: a small model that may write more sometimes writes nothing else.
# The rest is llguidance's own default, said here so that no schema says otherwise with its "x-guidance".
_OPTIONS: "JsonCompileOptions" = {
    "whitespace_pattern": " ?",
    "whitespace_flexible": True,
    "item_separator": ",",
    "key_separator": ":",
    "lenient": False,
    "coerce_one_of": False,
}
# llguidance's defaults but for a lexer's states, 1 to 2 kB each, of which it allows 250,000.
_LIMITS = LLParserLimits(max_lexer_states=50_000, verbose_errors=False)
# Characters of a schema (OpenAI takes 120,000 of names and values), and of one name or value in it: a value of 150,000
# takes 0.1 s and more at every token.
_LONGEST_SCHEMA = 150_000
_LONGEST_TEXT = 10_000
# Larger schemas, and those with one of these words, are tried first: they multiply what has to be compiled.
_TRIED_FROM = 10_000
_TRIED_WORDS = frozenset({"allOf", "oneOf", "pattern", "patternProperties", "multipleOf"})
# Seconds of processor time a trial may take, and of the wall clock, on a machine that is busy with other things.
_TRIAL_S = 2
_LONGEST_TRIAL_S = 15
# Characters of llguidance's reasons that are passed on: they may repeat the schema.
_LONGEST_REASON = 500


def compile_schema(schema: str, tokenizer: LLTokenizer) -> LLMatcher:
    """A matcher at the beginning of an answer, to be copied for each.

    Raises:
        UsageError: The schema is not one, is too large, or says what cannot be followed token by token.
    """
    if _is_suspicious(schema):
        _try(schema)
    return _compiled(schema, tokenizer)


def reason(matcher: LLMatcher) -> str:
    """What a matcher says is wrong, in one line; empty when nothing is."""
    said = " ".join(matcher.get_error().removesuffix("<non-verbose/>").split())
    return "nothing fulfils it" if said == "NoExtensionBias" else said[:_LONGEST_REASON]


def _compiled(schema: str, tokenizer: LLTokenizer) -> LLMatcher:
    try:
        grammar = LLMatcher.grammar_from_json_schema(schema, overrides=_OPTIONS)
    except ValueError as error:
        raise _refused(str(error)[:_LONGEST_REASON]) from None
    matcher = LLMatcher(tokenizer, grammar, log_level=0, limits=_LIMITS)
    beginning = matcher.deep_copy()
    if not matcher.is_error():
        # Some of what cannot be fulfilled shows only when the first token is looked for.
        beginning.compute_bitmask()
    if why := reason(beginning):
        raise _refused(why)
    return matcher


def _is_suspicious(schema: str) -> bool:
    """Whether the schema may take long to compile.

    Raises:
        UsageError: It is not a schema or too large.
    """
    if len(schema) > _LONGEST_SCHEMA:
        raise _refused(f"it has {len(schema)} characters; {_LONGEST_SCHEMA} are the most")
    try:
        # As texts, numbers of any length are read quickly.
        parsed = json.loads(schema, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise _refused(f"it is not JSON that can be read: {error}") from None
    if not isinstance(parsed, dict):
        raise _refused("it is not a JSON object")
    texts = list(_texts(parsed))
    longest = max(map(len, texts), default=0)
    if longest > _LONGEST_TEXT:
        raise _refused(f"a name or value in it has {longest} characters; {_LONGEST_TEXT} are the most")
    return len(schema) > _TRIED_FROM or not _TRIED_WORDS.isdisjoint(texts)


def _texts(parsed: object) -> Iterator[str]:
    """All names and texts in JSON, at any depth."""
    waiting = [parsed]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value


def _try(schema: str) -> None:
    """Compile the schema in a process of its own.

    Raises:
        UsageError: It cannot be compiled, or not in time.
        EndpointError: There can be no such process.
    """
    command = [sys.executable, "-m", "harness.localserver.generation.schemas"]
    too_long = "it takes too long to be made ready"
    try:
        trial = subprocess.run(
            command,
            input=schema.encode("utf-8", errors="replace"),
            capture_output=True,
            timeout=_LONGEST_TRIAL_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _refused(too_long) from None
    except OSError as error:
        raise EndpointError(f"a schema cannot be tried: {error}", remedy="ask again") from error
    if trial.returncode < 0:
        raise _refused(too_long)
    if trial.returncode:
        complaint = trial.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise EndpointError(f"a schema cannot be tried: {complaint}", remedy="ask again")
    if why := trial.stdout.decode().strip():
        raise _refused(why)


def _refused(why: str) -> UsageError:
    return UsageError(f"the schema cannot be followed: {why}", remedy="change the schema")


class _Bytes:
    """The smallest vocabulary: every byte, and an end."""

    bos_token_id = None
    eos_token_id = 0x100
    tokens = (*(bytes([byte]) for byte in range(0x100)), b"")
    special_token_ids = (0x100,)

    def __call__(self, text: str) -> list[int]:
        return list(text.encode())


def _main() -> None:
    """Try the schema on standard input; on standard output, why it cannot be followed, or nothing."""
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CPU, (_TRIAL_S, _TRIAL_S))
    try:
        _compiled(sys.stdin.buffer.read().decode(), LLTokenizer(TokenizerWrapper(_Bytes()), slices=[]))
    except UsageError as error:
        sys.stdout.write(error.problem.partition(": ")[2])


if __name__ == "__main__":
    _main()
