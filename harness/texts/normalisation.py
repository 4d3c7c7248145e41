"""When are two answers the same text? The normal form every comparing scorer uses.

SQuAD's normalisation knows ASCII punctuation and English articles only, and removing *all*
punctuation makes `A+` equal `A`, `-5` equal `5` and `1.5` equal `15`. Here only sentence punctuation
at the ends goes, and numbers are compared as numbers.
"""

import re
import unicodedata
from collections.abc import Mapping
from fractions import Fraction

import regex

# What nobody sees: zero-width space, word joiner, byte order mark, soft hyphen, direction marks. The
# zero-width joiner stays: it holds emoji and Persian words together.
_INVISIBLE = dict.fromkeys([0x200B, 0x2060, 0xFEFF, 0x00AD, 0x200E, 0x200F])
_LOOKALIKES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "\u2212": "-"})
_ANY_INVISIBLE = re.compile(f"[{''.join(map(chr, _INVISIBLE))}]")
_ANY_LOOKALIKE = re.compile(f"[{''.join(map(chr, _LOOKALIKES))}]")
# NFKC makes 10² the number 102; as 10^2 it stays a power.
_SUPERSCRIPT = re.compile(r"[⁰¹²³⁴-⁹]+")

_OPENING = " \"'([{<.,;:!?…¿¡。，、；：！？·「『（【《〈«‹„"
_CLOSING = " \"')]}>.,;:!?…。，、；：！？·」』）】》〉»›~"
_BULLETS = ("- ", "– ", "— ", "• ", "* ")
_EMPHASIS = ("***", "___", "```", "**", "__", "`", "*", "_")
_ARTICLE = regex.compile(r"^(?:an?|the) (?=.)")

# 007 and 02134 are codes, not numbers: no leading zero. Longer digit strings are ids.
_NUMBER = regex.compile(
    r"([+-]?)((?:0|[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d*)?(?:\.\d+)?|(?:0|[1-9]\d*)\.)(e[+-]?\d{1,3})? ?(%?)"
)
MAX_NUMBER_CHARACTERS = 40

_PREFIX_NOUN = (
    r"(?:(?:the |my )?(?:final |correct )?(?:answer|result|label|category|class)(?: is)?"
    r"|(?:最终|正确)?(?:答案|回答|结果|标签|类别|分类)(?:是|为)?)"
)
# `Answer:`, `The final answer is:`, `**Category:**`, `答案：` at the start of an answer.
_PREFIX = regex.compile(
    rf"(?:(?P<mark>[*_`]{{1,3}}){_PREFIX_NOUN}(?:\s*[:：]\s*(?P=mark)|(?P=mark)\s*[:：])|{_PREFIX_NOUN}\s*[:：])\s*",
    regex.IGNORECASE,
)


def fold(text: str, *, ignore_case: bool = True) -> str:
    """Text with the differences no reader means: width, composition, case, spacing, quote style."""
    if not text.isascii():
        text = _composed(text)
    if ignore_case:
        text = text.casefold()
        text = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return " ".join(text.split())


def _composed(text: str) -> str:
    """One form of each character. Most texts have nothing to replace, and looking is ten times as fast as replacing."""
    if _SUPERSCRIPT.search(text):
        text = _SUPERSCRIPT.sub(lambda found: "^" + unicodedata.normalize("NFKC", found.group()), text)
    if _ANY_INVISIBLE.search(text):
        text = text.translate(_INVISIBLE)
    text = unicodedata.normalize("NFKC", text)
    return text.translate(_LOOKALIKES) if _ANY_LOOKALIKE.search(text) else text


def normalise(text: str, *, ignore_articles: bool = False) -> str:
    """The normal form of a whole answer: folded, without emphasis and punctuation at its ends.

    A text of punctuation alone keeps it. With `ignore_articles` one leading English article goes;
    anywhere else "a" may be the answer's point (vitamin A).
    """
    folded = fold(text)
    # Twice, because a model may write **Paris**. as well as **Paris.**
    bare = _bare(_without_emphasis(_bare(folded))) or folded
    return _ARTICLE.sub("", bare) if ignore_articles else bare


def _bare(text: str) -> str:
    """Without sentence punctuation at the ends; the point of `.5` and the sign of `-5` stay."""
    bullet = next((mark for mark in _BULLETS if text.startswith(mark)), "")
    text = text[len(bullet) :]
    bare = text.lstrip(_OPENING)
    if bare[:1].isdigit() and text[: len(text) - len(bare)].endswith("."):
        bare = f".{bare}"
    return bare.rstrip(_CLOSING)


def _without_emphasis(text: str) -> str:
    """Without bold, italic and code marks, which come in pairs: the grade `A*` is not the grade `A`."""
    for mark in _EMPHASIS:
        if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
            return text[len(mark) : -len(mark)]
    return text


def without_answer_prefix(text: str) -> str:
    """Without a leading `Answer:` or its like; `**Answer: 42**` is unwrapped for it."""
    text = text.strip()
    for candidate in (text, _without_emphasis(text)):
        found = _PREFIX.match(candidate)
        if found:
            return candidate[found.end() :]
    return text


def number(normal: str) -> Fraction | None:
    """The exact number a normalised text is, or None: `1,234`, `-3.0`, `.5`, `1e-7`, `25%` (= 0.25)."""
    if len(normal) > MAX_NUMBER_CHARACTERS:
        return None
    found = _NUMBER.fullmatch(normal)
    if found is None or not found.group(2):
        return None
    sign, digits, exponent, percent = found.groups(default="")
    value = Fraction(sign + digits.replace(",", "").rstrip(".") + exponent)
    return value / 100 if percent else value


def same(one: str, other: str) -> bool:
    """Whether two normalised texts are equal, as numbers when both are numbers."""
    if one == other:
        return True
    left = number(one)
    return left is not None and left == number(other)


def normalised_aliases(aliases: Mapping[str, str]) -> dict[str, str]:
    """Alias to meaning, both in normal form."""
    return {normalise(alias): normalise(meaning) for alias, meaning in aliases.items()}


def storable(text: str, limit: int = 500) -> str:
    """What a Score may carry of a model's text: short, and without lone surrogates, which UTF-8 has not."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return cut.encode("utf-8", "replace").decode("utf-8")


def as_text(value: object) -> str | None:
    """An expected scalar of a suite as the text a model would write; None for what is not a scalar."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    return None


def expected_texts(expected: object) -> tuple[str, ...] | None:
    """A case's `expected` as texts, any of which is right; None when it is missing or holds no scalars."""
    items = expected if isinstance(expected, (list, tuple)) else [expected]
    texts = [as_text(item) for item in items]
    found = tuple(text for text in texts if text is not None)
    return found if found and len(found) == len(texts) else None
