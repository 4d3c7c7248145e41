"""Which numbers stand in a text? Arabic digits in their many notations, and Chinese numerals.

The values are exact fractions: `0.1 + 0.2` is `0.3`, and a tolerance means what it says.
"""

import importlib
import unicodedata
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache

import regex

from harness.records import record

# Longer digit strings are ids, and huge exponents would fill the memory.
MAX_DIGITS = 40
MAX_EXPONENT = 308


@record
class Numeral:
    """One number in a text: its value without the sign of per cent, whether it had one, where it stands."""

    value: Fraction
    is_percent: bool
    start: int
    end: int

    @property
    def share(self) -> Fraction:
        """The value with `25%` as 0.25."""
        return self.value / 100 if self.is_percent else self.value


_CHINESE_DIGIT = "零〇一二两三四五六七八九壹贰叁肆伍陆柒捌玖兩貳參陸"
_CHINESE_UNIT = "十百千万亿兆廿拾佰仟萬億"
_CHINESE_LETTER = _CHINESE_DIGIT + _CHINESE_UNIT
# Words that only look like numbers: 一般 (usually), 万一 (in case), 十分 (very), 百姓 (people).
_NOT_A_NUMBER = (
    r"一(?=[般样起共定些下直旦切致边路向味概律再方面旁侧道同时点会儿])|(?<=[统唯万其同单专之任每某这那哪])一"
    r"|万(?=[一分能岁])|千(?=万[要别不])|十分(?![之])|四(?=[处周])|百(?=姓)|七(?=夕)|三(?=明治)|两(?=者)"
)
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}

# `1,234`, `3.14`, `.5`; neither inside a word (GPT-4, H2O) nor a part of a version (1.2.3).
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d++)(?:\.\d++)?+|\.\d++"
_EDGE = r"(?<![\p{Latin}_\d.^])(?<!\p{Latin}-)"
# A sign stands right before its number, and `10-5`, `(a)-5` and the bullet `- 5` have none.
_MINUS = "[负負]|零下"
_ARABIC = (
    rf"(?P<sign>(?<![\d\p{{Latin}})\]}}])[+-]|\b(?:minus|negative)\s|{_MINUS})?[$€£¥]?(?P<currency_minus>(?<=[$€£¥])-(?=\d))?"
    rf"{_EDGE}(?P<digits>{_DIGITS})(?!\.\d)"
    r"(?:e(?P<exponent>[+-]?\d{1,4})(?![\d\p{Latin}])|\s?(?:[×x*]|\\times)\s?10\s?\^\s?\{?(?P<power>[+-]?\d{1,4})\}?)?"
    r"(?:\s?\^\s?\{?(?P<raised>[+-]?\d{1,4})\}?)?"
    rf"(?:\s?/\s?(?P<below>{_DIGITS})(?![\d/]|\.\d))?"
    rf"(?P<units>[{_CHINESE_UNIT}](?:[\d{_CHINESE_LETTER}]|(?<=\d)\.(?=\d)){{0,24}})?"
    rf"(?:[\s-](?P<scale>{'|'.join(_SCALES)})\b)?"
)
_LATEX_FRACTION = r"(?P<minus>-)?\\[dt]?frac\{(?P<over>-?\d{1,40})\}\{(?P<under>\d{1,40})\}"
_CHINESE = rf"(?:{_MINUS})?[{_CHINESE_LETTER}]{{1,40}}(?:[点點][{_CHINESE_DIGIT}]{{1,20}})?"
_PER_CENT = r"(?P<percent>\s?\\?%|\s?(?:per ?cent|pct)\b)?"
_PARTS = rf"(?P<parts>[百千]|[{_CHINESE_LETTER}]{{1,12}})分之(?P<of>[负負]?(?:[{_CHINESE_LETTER}点點]{{1,24}}|{_DIGITS}))"
# A date or a time is no number, let alone a quotient.
_CLOCK = r"\d{1,4}/\d{1,2}/\d{1,4}|\d{4}-\d{2}-\d{2}|\d{1,2}:\d{2}(?::\d{2})?"
_NUMERAL = regex.compile(
    rf"(?<![\d.])(?P<clock>{_CLOCK})(?!\d)|(?P<fraction>{_LATEX_FRACTION})|{_PARTS}|(?P<arabic>{_ARABIC}){_PER_CENT}|(?P<skipped>{_NOT_A_NUMBER})"
    rf"|(?P<chinese>{_CHINESE})",
    regex.IGNORECASE,
)
# Beyond these the converter cuts off, with a warning.
_MANY_DECIMALS = regex.compile(r"[点點.].{17}")
_LATEX_SPACE = regex.compile(r"\{,\}(?=\d)|(?<=\d)\\[,;! ](?=\d)")
_THIN_SPACE = regex.compile(r"(?<=\d)[\u00A0\u2009\u202F](?=\d{3}(?!\d))")
_SUPERSCRIPT = regex.compile(r"[⁺⁻]?[⁰¹²³⁴-⁹]+")


def plain_numerals(text: str) -> str:
    """The text in the notation that `read_numerals` reads: ASCII digits and signs, powers as `^`, no LaTeX spacing."""
    if not text.isascii():
        text = _THIN_SPACE.sub(",", text)
        text = _SUPERSCRIPT.sub(lambda found: "^" + unicodedata.normalize("NFKC", found.group()), text)
        text = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    return str(_LATEX_SPACE.sub(lambda found: "," if found.group().startswith("{") else "", text))


def read_numerals(text: str, *, mixed: bool = False) -> Iterator[Numeral]:
    """The numbers of a text in the form of `plain_numerals`, in order.

    Chinese numerals count only where the text has no Arabic ones, because 一 and 两 are parts of many
    words; with `mixed` those of two characters or more always count.
    """
    found = list(_NUMERAL.finditer(text))
    is_arabic = any(match["arabic"] or match["fraction"] for match in found)
    for match in found:
        chinese = match["chinese"] or ""
        is_word = chinese and is_arabic and not (mixed and len(chinese) > 1)
        if match["clock"] or match["skipped"] or is_word:
            continue
        value = _value(match)
        if value is not None:
            parts = match["parts"] or ""
            yield Numeral(
                value=value,
                is_percent=bool(match["percent"]) or parts == "百",
                start=match.start(),
                end=match.end(),
            )


def whole_numeral(text: str) -> Numeral | None:
    """The one number that a text is, spaces around it aside; None for what is no number or more than one."""
    plain = plain_numerals(text).strip()
    if len(plain) > MAX_DIGITS:
        return None
    found = list(read_numerals(plain))
    return found[0] if len(found) == 1 and plain[found[0].start : found[0].end].strip() == plain else None


def _value(match: "regex.Match[str]") -> Fraction | None:
    if match["fraction"]:
        return _quotient(Fraction(match["over"]) * (-1 if match["minus"] else 1), Fraction(match["under"]))
    if match["parts"]:
        return _parts(match["parts"], match["of"])
    return _arabic(match) if match["arabic"] else chinese_number(match["chinese"])


def _parts(parts: str, of: str) -> Fraction | None:
    """三分之一 is 1/3; 百分之二十五 is 25 with the sign of per cent."""
    over = _digits(of) if of[-1].isdigit() and of.isascii() else chinese_number(of)
    if parts == "百":
        return over
    under = Fraction(1000) if parts == "千" else chinese_number(parts)
    return None if over is None or under is None else _quotient(over, under)


def _arabic(match: "regex.Match[str]") -> Fraction | None:
    value = chinese_number(match["digits"] + match["units"]) if match["units"] else _digits(match["digits"])
    if value is None:
        return None
    exponent = int(match["exponent"] or match["power"] or 0)
    if match["raised"] is not None:
        if value != 10 or exponent:  # 2^10 is arithmetic, and not what a reader would call a number
            return None
        value, exponent = Fraction(1), int(match["raised"])
    if abs(exponent) > MAX_EXPONENT:
        return None
    value *= Fraction(10) ** exponent * _SCALES.get((match["scale"] or "").lower(), 1)
    if match["below"] is not None:
        below = _digits(match["below"])
        if below is None or (quotient := _quotient(value, below)) is None:
            return None
        value = quotient
    return -value if match["sign"] not in {None, "+"} or match["currency_minus"] else value


def _digits(text: str) -> Fraction | None:
    return Fraction(text.replace(",", "")) if len(text) <= MAX_DIGITS else None


def _quotient(over: Fraction, under: Fraction) -> Fraction | None:
    return over / under if under else None


def chinese_number(text: str) -> Fraction | None:
    """The number that Chinese numerals mean, also mixed with digits (`1亿2000万`); None for what is no number."""
    if len(text) > MAX_DIGITS or _MANY_DECIMALS.search(text):
        return None
    whole = text.replace(",", "").replace("點", "点").lstrip("负負").removeprefix("零下")
    if whole[:1] in {"百", "千"} and whole[:2] not in {"百万", "千万", "百萬", "千萬"}:
        return None
    try:
        read = _converter()("一" + whole if whole[:1] in {"百", "千"} else whole, "smart")
        # Through text, which a float of few digits survives: 1.2 is 6/5.
        value = Fraction(str(read))
    except (ValueError, OverflowError, KeyError, IndexError):
        return None
    return -value if text.startswith(("负", "負", "零下")) else value


@lru_cache(maxsize=1)
def _converter() -> Callable[[str, str], float]:
    # It compiles patterns for a quarter of a second, which nobody without Chinese numerals should wait for.
    convert: Callable[[str, str], float] = importlib.import_module("cn2an").cn2an
    return convert
