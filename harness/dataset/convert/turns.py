"""What every conversion speaks: a row in, a chat row out, and whatever was left behind said aloud."""

from collections.abc import Callable, Iterable, Mapping

from harness.records import Json, record
from harness.serial import shown


class NotConvertible(Exception):  # noqa: N818 - the outcome of one row, told as a sentence
    """A row that this conversion cannot read; the sentence says why."""


@record
class Conversion:
    """A chat row, and the keys of the source row that it has no place for."""

    row: Mapping[str, Json]
    dropped: tuple[str, ...] = ()


Converter = Callable[[Mapping[str, Json]], Conversion]
"""From a source row to a conversion; raises NotConvertible."""


def chat_row(turns: Iterable[tuple[str, str]], *, system: str = "") -> Mapping[str, Json]:
    """The chat row of (role, text) turns, after a system message if there is one."""
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": role, "content": text} for role, text in turns]
    return {"messages": messages}


def text_at(row: Mapping[str, Json], key: str, *, required: bool = False) -> str:
    """The text under a key; empty when it is absent or null and not required."""
    value = row.get(key)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        raise NotConvertible(f"{key} is {shown(value)}, not text")
    return value


def left_over(row: Mapping[str, Json], used: Iterable[str]) -> tuple[str, ...]:
    """The keys of a row that were not used and hold something."""
    known = set(used)
    return tuple(key for key, value in row.items() if key not in known and value not in (None, "", [], {}))
