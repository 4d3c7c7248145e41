"""Which ids does a text become when only marks written by the template may become control tokens?

Tokenizers find control tokens by their spelling, so text that spells one out would become one. Here every mark is given a
secret spelling, drawn anew in each process: the template's marks are translated to it, what people write cannot hit it, and the
whole is still encoded in one go, with the same splits and merges as the model has seen.
"""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from harness.errors import UsageError

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
# What SentencePiece writes for a space.
_SPACE = "\u2581"
Plan = dict[str, object]
# The parts of a plan that may put a space before a text.
_SPACING = ("normalizer", "pre_tokenizer")


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Token ids, and the first and the last-but-one place of each in the text."""

    ids: list[int]
    spans: list[tuple[int, int]]


class Vocabulary:
    """A model's vocabulary, with some tokens as marks.

    Args:
        tokenizer: The model's own.
        marks: The tokens that must not come of what people write, by spelling.

    Raises:
        UsageError: The tokenizer is of a kind that does not keep its ids when tokens are spelled anew.
    """

    def __init__(self, tokenizer: Tokenizer, marks: Mapping[str, int]) -> None:
        plan: Plan = json.loads(tokenizer.to_str())
        self._original = tokenizer
        self._secret = {mark: f"\ue003{secrets.token_hex(16)}\ue004" for mark in marks}
        self._is_byte_level = '"ByteLevel"' in json.dumps([plan.get("decoder"), plan.get("pre_tokenizer")])
        _respell(plan, self._secret)
        self._private = _made(plan)
        # Where a tokenizer puts a space before a text, a text that goes on from another must do without.
        continuing = {**plan, **{part: _without_space(plan.get(part)) for part in _SPACING}}
        self._continuing = self._private if continuing == plan else _made(continuing)
        if any(self._private.token_to_id(self._secret[mark]) != number for mark, number in marks.items()):
            raise _unusable("the ids of its special tokens changed")
        # Longest first, as tokenizers find them; without marks, what matches nothing.
        self.mark_pattern = (
            "|".join(re.escape(mark) for mark in sorted(marks, key=len, reverse=True)) or "(?!)"
        )

    def secret(self, mark: str) -> str:
        """The spelling to write for a mark."""
        return self._secret[mark]

    def encode(self, text: str, *, continues: bool = False) -> Encoded:
        """The ids of a text whose marks are in their secret spelling; one that continues another has the ids of its own bytes."""
        # A lone surrogate, which JSON can carry, has no UTF-8 form.
        clean = text.encode("utf-8", errors="replace").decode("utf-8")
        tokenizer = self._continuing if continues else self._private
        encoding = tokenizer.encode(clean, add_special_tokens=False)
        return Encoded(ids=encoding.ids, spans=encoding.offsets)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, those of marks included."""
        text: str = self._original.decode(list(ids), skip_special_tokens=False)
        return text

    def token_bytes(self, token: int) -> bytes:
        """The bytes of a token's text; empty for an id without a token."""
        spelling = self._original.id_to_token(token)
        if spelling is None:
            return b""
        if self._is_byte_level:
            try:
                return bytes(_BYTES[letter] for letter in spelling)
            except KeyError:  # a token added by hand is spelled as it reads
                return str(spelling).encode()
        byte = _BYTE_TOKEN.fullmatch(spelling)
        return bytes([int(byte[1], 16)]) if byte else str(spelling).replace(_SPACE, " ").encode()


def _made(plan: Plan) -> Tokenizer:
    try:
        return Tokenizer.from_str(json.dumps(plan))
    except Exception as error:  # the library raises nothing narrower
        raise _unusable(str(error)) from error


def _without_space(part: object) -> object:
    """A part of a tokenizer's plan that puts no space before a text."""
    if isinstance(part, list):
        return [_without_space(inner) for inner in part if not _prepends(inner)]
    if not isinstance(part, dict) or _prepends(part):
        return None if _prepends(part) else part
    kept = {key: _without_space(value) for key, value in part.items()}
    if part.get("type") == "Metaspace":
        return kept | {"prepend_scheme": "never"}
    return kept | ({"add_prefix_space": False} if "add_prefix_space" in part else {})


def _prepends(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == "Prepend"


def _unusable(why: str) -> UsageError:
    return UsageError(
        f"the model's tokenizer cannot be used safely: {why}",
        remedy="give a model folder with a tokenizer.json whose special tokens are listed in added_tokens",
    )


def _respell(plan: Plan, secret: Mapping[str, str]) -> None:
    """Give marks their secret spelling, everywhere in a tokenizer's JSON."""
    # It would write marks of its own around every text; templates write theirs themselves.
    plan["post_processor"] = plan["truncation"] = plan["padding"] = None
    added = plan["added_tokens"]
    assert isinstance(added, list)
    for token in added:
        if token["content"] in secret:
            token |= {"content": secret[token["content"]], "normalized": False, "single_word": False}
    model = plan["model"]
    assert isinstance(model, dict)
    if model.get("unk_token") in secret:
        model["unk_token"] = secret[model["unk_token"]]
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, dict):
        model["vocab"] = {secret.get(piece, piece): number for piece, number in vocabulary.items()}
    elif isinstance(vocabulary, list):
        model["vocab"] = [[secret.get(piece, piece), score] for piece, score in vocabulary]
    if "merges" in model:
        # Merges that make a mark would be text that becomes one.
        pairs = [merge.split(" ", 1) if isinstance(merge, str) else merge for merge in model["merges"]]
        model["merges"] = [pair for pair in pairs if not {*pair, "".join(pair)} & secret.keys()]


def _bytes_of_letters() -> dict[str, int]:
    """The byte each letter of a byte-level vocabulary stands for: printable bytes as themselves, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + place): byte for place, byte in enumerate(others)
    }


_BYTES = _bytes_of_letters()
