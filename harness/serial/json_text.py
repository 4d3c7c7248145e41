"""JSON from anybody: read as Python reads it, but never nested so deeply that whoever walks it runs out of stack.

From Python 3.12 on the reader itself takes thousands of levels, and code written in Python a third of them.
"""

import json
import math

MOST_LEVELS = 100
"""A chat completion has eight, a tool's schema seldom twenty; walking a hundred takes a third of Python's stack."""


def read_json(text: str) -> object:
    """The value that a text is; NaN and Infinity are read, and of a key given twice the last.

    Raises:
        ValueError: Not JSON, or a number of thousands of digits.
        RecursionError: Nested more than MOST_LEVELS deep.
    """
    value: object = json.loads(text)
    # Counting brackets is cheap and never too low; only a suspicious text is looked at closely.
    if text.count("[") + text.count("{") > MOST_LEVELS:
        check_depth(value)
    return value


def check_depth(value: object) -> None:
    """Refuse data that is nested more than MOST_LEVELS deep.

    Raises:
        RecursionError: It is.
    """
    holders = [value] if isinstance(value, dict | list) else []
    for _ in range(MOST_LEVELS):
        holders = [
            item
            for holder in holders
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, dict | list)
        ]
        if not holders:
            return
    raise RecursionError("nested too deeply")


def finite_number(value: object) -> float | None:
    """The number a value of JSON is; None for what is none, for NaN, and for what is beyond all floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
