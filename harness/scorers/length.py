"""How much is there? Length in a unit the suite declares, and emoji."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import emoji
import regex

from harness.dataset import count_tokens
from harness.records import Case, Completion, Score, record

Unit = Literal["characters", "graphemes", "words", "hanzi", "sentences", "tokens", "bytes"]
Encoding = Literal["o200k_base", "cl100k_base"]
_USUAL_ENCODING: Encoding = "o200k_base"

# Zero-width space, word joiner, byte order mark, soft hyphen: nobody sees them, nothing counts them.
_INVISIBLE = dict.fromkeys([0x200B, 0x2060, 0xFEFF, 0x00AD])

# Joiners hold emoji together, which `graphemes` needs; inside a Persian word they would part it.
_JOINERS = dict.fromkeys([0x200C, 0x200D])

# The unit 字: each Han character (with its variation selector), and each run of other letters or digits.
# Han must be excluded from the letters, or 这个API真的太好用了吧 counts 3, not 10; a mark alone is no word: the
# variation selector of ❤️ is one.
_HANZI = regex.compile(
    r"\p{Han}[\uFE00-\uFE0F\U000E0100-\U000E01EF]?"
    r"|[[\p{L}\p{N}]--[\p{Han}]][[\p{L}\p{N}\p{M}]--[\p{Han}]]*(?:['’\-.][[\p{L}\p{N}\p{M}]--[\p{Han}]]+)*",
    regex.V1,
)
# The digit of a keycap is part of an emoji, not a number.
_KEYCAP = regex.compile("[0-9#*]\ufe0f?\u20e3")
_GRAPHEME = regex.compile(r"\X")

# A sentence ends at its mark or with its line. A full stop must be followed by space (not 3.14) and must
# not belong to an abbreviation, an initial or a list's number.
_ABBREVIATION = (
    r"(?<!\b(?i:mr|mrs|ms|dr|prof|jr|sr|vs|approx|e\.g|i\.e|u\.s))(?<!\b\p{Lu})(?<!^[^\S\n]*\d{1,3})"
)
_SENTENCE_END = regex.compile(
    rf"[。！？!?…]+[\"'”’」』）)]*|{_ABBREVIATION}\.+[\"'”’)]*(?=\s|$)|\n", regex.MULTILINE
)
_LETTER_OR_DIGIT = regex.compile(r"[\p{L}\p{N}]")

# Legal signs that Unicode lists among the emoji and every keyboard types as text.
_LEGAL_SIGNS = dict.fromkeys(map(ord, "©®™"))
# `emoji` walks through a text in Python; plain ASCII need not be shown to it.
_MAYBE_EMOJI = regex.compile(r"[0-9#*]?[^\x00-\x7F]+")


@record
class Length:
    """The answer is as long as the suite wants, in a unit it names; spaces around it do not count.

    `characters` are Unicode code points, `graphemes` what a reader sees as one; `words` and `hanzi` (字)
    count each Han character and each word or number of another script, as word processors do;
    `tokens` are those of an encoding of OpenAI's.
    """

    unit: Unit
    at_least: int | None = None
    at_most: int | None = None
    encoding: Encoding | None = None
    """Whose tokens: `o200k_base` (GPT-4o and later; the default) or `cl100k_base` (GPT-4, GPT-3.5)."""

    measures: ClassVar[tuple[str, ...]] = ("length", "length_distance")

    def __post_init__(self) -> None:
        """Refuse bounds that say nothing or contradict each other."""
        _check_bounds(self.at_least, self.at_most)
        if self.encoding is not None and self.unit != "tokens":
            raise ValueError(f"`encoding` is for the unit tokens, and the unit is {self.unit}")

    def score(self, case: Case, completion: Completion) -> Score:  # noqa: ARG002 - one bound for all cases
        """1 within the bounds, else 0; `length` is the count, `length_distance` how far outside it is."""
        text = completion.text.translate(_INVISIBLE).strip()
        unit: str = self.unit
        if self.unit == "tokens":
            encoding = self.encoding or _USUAL_ENCODING
            count, unit = count_tokens(text, encoding=encoding), f"tokens ({encoding})"
        else:
            count = _COUNTERS[self.unit](text)
        return _bounded(count, unit, (self.at_least, self.at_most), self.measures)


@record
class Emoji:
    """The answer holds as many emoji as the suite wants.

    A family, a flag, a skin tone or a keycap is one emoji; ©, ® and ™ are none.
    """

    at_least: int | None = 1
    at_most: int | None = None

    measures: ClassVar[tuple[str, ...]] = ("emoji_count", "emoji_distance")

    def __post_init__(self) -> None:
        """Refuse bounds that say nothing or contradict each other."""
        _check_bounds(self.at_least, self.at_most)

    def score(self, case: Case, completion: Completion) -> Score:  # noqa: ARG002 - one bound for all cases
        """1 within the bounds, else 0; `emoji_count` is the count, `emoji_distance` how far outside it is."""
        return _bounded(_emoji(completion.text), "emoji", (self.at_least, self.at_most), self.measures)


def _check_bounds(at_least: int | None, at_most: int | None) -> None:
    if at_least is None and at_most is None:
        raise ValueError("neither `at_least` nor `at_most` is given; every answer would do")
    if min(at_least or 0, at_most or 0) < 0:
        raise ValueError("`at_least` and `at_most` must not be negative")
    if at_least is not None and at_most is not None and at_least > at_most:
        raise ValueError(f"`at_least` {at_least} is more than `at_most` {at_most}")


def _bounded(
    count: int, unit: str, bounds: tuple[int | None, int | None], measures: tuple[str, ...]
) -> Score:
    low, high = bounds
    wanted = [f"at least {low}" if low is not None else "", f"at most {high}" if high is not None else ""]
    # A near miss is not a far one: how many are missing or too many is worth a metric of its own.
    distance = max(0, (low or 0) - count, count - high if high is not None else 0)
    return Score(
        value=float(distance == 0),
        reason=f"{count} {unit}, wanted {' and '.join(filter(None, wanted))}",
        answer=str(count),
        measures=dict(zip(measures, (float(count), float(distance)), strict=True)),
    )


def _hanzi(text: str) -> int:
    return sum(1 for _ in _HANZI.finditer(_KEYCAP.sub(" ", text.translate(_JOINERS))))


def _emoji(text: str) -> int:
    candidates = " ".join(_MAYBE_EMOJI.findall(text.translate(_LEGAL_SIGNS)))
    # Each different grapheme is looked at once: a model that repeats itself repeats few of them.
    seen = Counter(_GRAPHEME.findall(candidates))
    return sum(times * emoji.emoji_count(grapheme) for grapheme, times in seen.items())


def _sentences(text: str) -> int:
    return sum(1 for part in _SENTENCE_END.split(text) if _LETTER_OR_DIGIT.search(part))


_COUNTERS: Mapping[Unit, Callable[[str], int]] = {
    "characters": len,
    "graphemes": lambda text: sum(1 for _ in _GRAPHEME.finditer(text)),
    "words": _hanzi,
    "hanzi": _hanzi,
    "sentences": _sentences,
    "bytes": lambda text: len(text.encode("utf-8", "replace")),
}
