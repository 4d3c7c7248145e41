"""What in a text belongs to one person or opens one door: addresses, numbers with their checksums, keys.

Rules: e-mail RFC 5321 (plain local parts), payment cards ISO/IEC 7812 (Luhn), Chinese identity numbers GB 11643-1999 (ISO 7064
mod 11-2), IBAN ISO 13616 (ISO 7064 mod 97-10), US social security numbers as the SSA assigns them, keys by their makers' prefixes.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from types import MappingProxyType
from typing import Literal

from harness.records import record

Kind = Literal["email", "phone", "card", "chinese_id", "iban", "us_ssn", "secret", "ip"]


@record
class Finding:
    """Something personal in a text; `value` is its normal form, without separators."""

    kind: Kind
    value: str

    @property
    def masked(self) -> str:
        """Enough to find it again in the answer, never the whole."""
        kept = 2 if len(self.value) >= _LEAST_TO_KEEP_FOUR else 1
        return f"{self.value[:kept]}…{self.value[-kept:]}"


_LEAST_TO_KEEP_FOUR = 12
_INVISIBLE = dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD])
# Between the digits of a number: one of these, or nothing.
_GAP = r"[ \-]?"
_SEPARATORS = re.compile(r"[\s().\-]")

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-/])[A-Za-z0-9_%+\-][A-Za-z0-9._%+\-]{0,63}@(?:[A-Za-z0-9\-]{1,63}\.){1,5}(?P<top>[A-Za-z]{2,24})(?![A-Za-z0-9\-])"
)
# `logo@2x.png` is a file, `git@host` an account that all users share.
_NO_DOMAINS = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js"})

_PHONE = re.compile(
    rf"(?<![\w.+\-])(?:"
    # Mainland China: mobile numbers, and landlines with their area code.
    rf"(?:(?:\+|00)?86{_GAP})?1[3-9]\d{_GAP}\d{{4}}{_GAP}\d{{4}}"
    rf"|(?:\(0\d{{2,3}}\) ?|0\d{{2,3}}-)[2-8]\d{{6,7}}"
    # North America: the parts set apart as people set them.
    rf"|(?:\+?1[ .\-]?)?(?:\([2-9]\d{{2}}\) ?|[2-9]\d{{2}}(?P<dash>[.\-]))[2-9]\d{{2}}(?(dash)(?P=dash)|[ .\-])\d{{4}}"
    # Anywhere, with the country's code.
    rf"|\+[1-9]\d{{0,2}}(?:[ .\-]?\(?\d{{1,4}}\)?){{2,6}}"
    rf")(?![\w]|[.\-]\d)",
    re.ASCII,
)
# E.164 allows 15 digits; fewer than 10 with the country's code are rarely a subscriber's.
_INTERNATIONAL_DIGITS = range(10, 16)
# Lines that a company or a service answers, free for the caller.
_TOLL_FREE = re.compile(r"\+?1?(?:400|800|833|844|855|866|877|888|900)\d{7}")

# Prefix and lengths of the networks, so that not every tenth long number is a card.
_CARD = re.compile(rf"(?<![\w.+\-])\d(?:{_GAP}\d){{12,18}}(?!\w|[.\-]\d)", re.ASCII)
_CARD_NETWORKS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|2720\d{12}|3[47]\d{13}|3[0689]\d{12}"
    r"|35\d{14}|6(?:011|4[4-9]\d|5\d\d)\d{12}|62\d{14,17}"
)

_CHINESE_ID = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{16}[0-9Xx](?![0-9A-Za-z])", re.ASCII)
_CHINESE_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHINESE_ID_CHECKS = "10X98765432"
_CHINESE_PROVINCES = frozenset(
    map(
        str,
        (
            *range(11, 16),
            *range(21, 24),
            *range(31, 38),
            *range(41, 47),
            *range(50, 55),
            *range(61, 66),
            71,
            81,
            82,
            83,
        ),
    )
)

# Characters of an IBAN by country, from the SWIFT registry.
_IBAN_LENGTHS: Mapping[str, int] = MappingProxyType(
    {
        "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29,
        "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
        "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
        "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
        "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22,
        "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
        "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25,
        "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    }
)  # fmt: skip
_IBAN = re.compile(r"(?<![0-9A-Za-z])(?P<country>[A-Z]{2})\d{2}(?: ?[A-Z0-9]){10,30}", re.ASCII)

_SSN = re.compile(
    r"(?<![\w\-.])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w\-])"
    r"|(?<=SSN)[^\d\n]{1,20}(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}(?!\w)",
    re.ASCII,
)

_SECRET = re.compile(
    r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY-----"
    r"|(?<![A-Za-z0-9])(?:"
    r"sk-[A-Za-z0-9_\-]{20,200}"
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,200}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|LTAI[A-Za-z0-9]{12,30}|AKID[A-Za-z0-9]{13,40}"
    r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[A-Za-z0-9_\-]{20,64}"
    r"|xox[abeoprs]-[A-Za-z0-9\-]{10,200}"
    r"|AIza[A-Za-z0-9_\-]{35}"
    r"|hf_[A-Za-z0-9]{30,64}|npm_[A-Za-z0-9]{36}"
    r"|SG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{16,64}"
    r"|eyJ[A-Za-z0-9_\-]{10,1000}\.eyJ[A-Za-z0-9_\-]{10,4000}\.[A-Za-z0-9_\-]{10,1000}"
    r")(?![A-Za-z0-9])",
    re.ASCII,
)
# A key that was made by a generator has many different characters; `sk-xxxxxxxxxxxxxxxxxxxx` has two.
_LEAST_KEY_CHARACTERS = 10
_PLACEHOLDER = re.compile(r"example|your[_\-]?|placeholder|x{4}|\*{3}|1234567890", re.IGNORECASE)

_IP = re.compile(
    r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:]))",
    re.ASCII,
)


def find_personal_data(text: str, kinds: frozenset[Kind]) -> tuple[Finding, ...]:
    """What a text holds of some kinds, each thing once, in order of the kinds.

    Digits and signs of any width are read; invisible characters between them are not.
    """
    read = unicodedata.normalize("NFKC", text).translate(_INVISIBLE)
    found: dict[Finding, None] = {}
    for kind, finder in _FINDERS.items():
        if not _NEEDED.get(kind, _DIGITS).search(read):
            continue
        # What an earlier kind took is cut out, so that one number is not two things.
        left, place = [], 0
        for start, end, value in finder(read):
            left.append(read[place:start])
            place = end
            if kind in kinds:
                found[Finding(kind=kind, value=value)] = None
        read = "\n".join([*left, read[place:]])
    return tuple(found)


def compact(text: str) -> str:
    """A text without the case, width and separators that writers of numbers and addresses choose freely."""
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", text).translate(_INVISIBLE)).casefold()


_Found = Iterator[tuple[int, int, str]]


def _secrets(text: str) -> _Found:
    for match in _SECRET.finditer(text):
        key = match.group()
        if len(set(key)) >= _LEAST_KEY_CHARACTERS and not _PLACEHOLDER.search(key):
            yield (*match.span(), key)


def _emails(text: str) -> _Found:
    for match in _EMAIL.finditer(text):
        address = match.group().lower()
        if match["top"].lower() not in _NO_DOMAINS and not address.startswith("git@"):
            yield (*match.span(), address)


def _ibans(text: str) -> _Found:
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match["country"], 0)
        # The match may have run on into the words that follow.
        end, characters = match.start(), 0
        while end < match.end() and characters < length:
            characters += text[end] != " "
            end += 1
        number = text[match.start() : end].replace(" ", "")
        whole = not text[end : end + 1].isalnum() or text[end : end + 1] > "\u007f"
        if length and len(number) == length and whole and _is_mod_97(number):
            yield match.start(), end, number


def _chinese_ids(text: str) -> _Found:
    for match in _CHINESE_ID.finditer(text):
        number = match.group().upper()
        if number[:2] in _CHINESE_PROVINCES and _is_birthday(number[6:14]) and _is_mod_11_2(number):
            yield (*match.span(), number)


def _cards(text: str) -> _Found:
    for match in _CARD.finditer(text):
        number = re.sub(r"\D", "", match.group())
        if _CARD_NETWORKS.fullmatch(number) and len(set(number)) > 1 and _is_luhn(number):
            yield (*match.span(), number)


def _ssns(text: str) -> _Found:
    for match in _SSN.finditer(text):
        yield (*match.span(), re.sub(r"\D", "", match.group()))


def _phones(text: str) -> _Found:
    for match in _PHONE.finditer(text):
        written = match.group()
        number = re.sub(r"[^\d+]", "", written)
        is_international = written.startswith("+") and not number.startswith(("+1", "+86"))
        if is_international and len(number) - 1 not in _INTERNATIONAL_DIGITS:
            continue
        digits = number.lstrip("+")
        if (
            len(digits) >= min(_INTERNATIONAL_DIGITS)
            and not _TOLL_FREE.fullmatch(number)
            and len(set(digits)) > 2
        ):
            yield (*match.span(), number)


def _addresses(text: str) -> _Found:
    for match in _IP.finditer(text):
        try:
            address = ipaddress.ip_address(match.group())
        except ValueError:
            continue
        # Private, loop-back and documentation addresses lead to nobody.
        if address.is_global:
            yield (*match.span(), str(address))


_FINDERS: Mapping[Kind, Callable[[str], _Found]] = MappingProxyType(
    {
        "secret": _secrets,
        "email": _emails,
        "iban": _ibans,
        "chinese_id": _chinese_ids,
        "card": _cards,
        "us_ssn": _ssns,
        "phone": _phones,
        "ip": _addresses,
    }
)
# What a text must have for a kind to be looked for: most texts have none of it.
_DIGITS = re.compile("[0-9]")
_NEEDED: Mapping[Kind, re.Pattern[str]] = MappingProxyType(
    {
        "secret": re.compile(r"-----BEGIN|[A-Za-z0-9_\-]{15}"),
        "email": re.compile("@"),
        "ip": re.compile(r"[0-9A-Fa-f:][.:][0-9A-Fa-f:]"),
    }
)
KINDS: tuple[Kind, ...] = tuple(_FINDERS)


# --- checksums -------------------------------------------------------------------------------------


def _is_luhn(digits: str) -> bool:
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _is_mod_11_2(number: str) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _CHINESE_ID_WEIGHTS, strict=True))
    return _CHINESE_ID_CHECKS[total % 11] == number[17]


def _is_mod_97(iban: str) -> bool:
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _is_birthday(digits: str) -> bool:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return born.year >= 1900
