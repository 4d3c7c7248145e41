"""When are two JSON values the same to a reader? As texts and numbers compare everywhere in the harness."""

from collections.abc import Mapping
from fractions import Fraction

from harness.records import Json
from harness.texts.normalisation import normalise, number, same


def alike(wanted: Json, found: Json, *, coerce: bool = False) -> bool:
    """Whether a value of an answer is the expected one.

    2 is 2.0 and 'Köln' is 'köln.', but '2' is not 2, because the reader's schema would refuse it; lists
    compare in order. With `coerce`, a number or a truth value written as text is one, on either side.
    Recursion goes only as deep as the expected value, which a person wrote.
    """
    if coerce:
        wanted, found = _coerced(wanted, found), _coerced(found, wanted)
    if isinstance(wanted, bool) or isinstance(found, bool) or wanted is None or found is None:
        return wanted is found
    if isinstance(wanted, (int, float, Fraction)) and isinstance(found, (int, float, Fraction)):
        return wanted == found
    if isinstance(wanted, str) and isinstance(found, str):
        return same(normalise(wanted), normalise(found))
    if isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)):
        pairs = zip(wanted, found, strict=False)
        return len(wanted) == len(found) and all(alike(one, other, coerce=coerce) for one, other in pairs)
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return wanted.keys() == found.keys() and all(
            alike(wanted[key], found[key], coerce=coerce) for key in wanted
        )
    return False


def _coerced(value: Json, other: Json) -> Json:
    """A text as the number or truth value that the other side is; else the value as it is."""
    if not isinstance(value, str):
        return value
    if isinstance(other, bool):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    if isinstance(other, (int, float)):
        read = number(value.strip())
        return value if read is None or "%" in value else read
    return value
