"""How many columns of a terminal does a text take? Letters of Chinese, Japanese and Korean take two, accents none."""

import re
from collections.abc import Iterator
from unicodedata import category, east_asian_width

# Full stops and closing brackets begin no line of Chinese or Japanese.
_CLOSING = "，。、；：？！）】》」』…"
_WIDE = r"\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\U00020000-\U0003fffd"
# A word is what stands between spaces; each wide letter is one of its own, with the closing marks that follow it.
_WORD = re.compile(rf"[{_WIDE}][{_CLOSING}]*[^\s{_WIDE}]*|[^\s{_WIDE}]+[{_CLOSING}]*")


def cells(text: str) -> int:
    """The columns a text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def wrapped(text: str, *, width: int, first: str = "", later: str = "") -> Iterator[str]:
    """The lines of a text that take at most `width` columns each, `first` and `later` being what they begin with.

    A word without spaces is cut only where it is wider than a line.
    """
    line, taken, end, is_empty = first, cells(first), 0, True
    for found in _WORD.finditer(text):
        space = " " if found.start() > end and not is_empty else ""
        end = found.end()
        for place, piece in enumerate(_pieces(found[0], width - cells(later))):
            lead = "" if place else space
            size = cells(piece)
            if not is_empty and taken + len(lead) + size > width:
                yield line
                line, taken, lead = later, cells(later), ""
            line, taken, is_empty = f"{line}{lead}{piece}", taken + len(lead) + size, False
    if not is_empty:
        yield line


def _pieces(word: str, width: int) -> Iterator[str]:
    if cells(word) <= width:
        yield word
        return
    piece, taken = "", 0
    for letter in word:
        if piece and taken + _cells(letter) > width:
            yield piece
            piece, taken = "", 0
        piece, taken = piece + letter, taken + _cells(letter)
    yield piece


def _cells(letter: str) -> int:
    if category(letter) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if east_asian_width(letter) in {"W", "F"} else 1
