"""What a check found: a sentence, how many rows, which lines, why it matters and what to do."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Literal

from harness.records import Json, record

Level = Literal["error", "warning", "note"]

# A person looks at a few lines; the count says how many there are.
SHOWN_LINES = 20


@record
class Finding:
    """One thing worth acting on.

    `count` rows are concerned, `lines` are the first of them, in file order; `figures` are the numbers behind the
    sentence, by name, for machines and plots. An `error` makes a job fail, a `warning` costs money or quality.
    """

    name: str
    level: Level
    what: str
    count: int
    lines: tuple[int, ...]
    why: str
    remedy: str
    figures: Mapping[str, Json] = field(default_factory=dict)


def counted(count: int, one: str, several: str = "") -> str:
    """`1 row asks`, `1,200 rows ask`; without `several`, an `s` is added."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def first_lines(lines: Iterable[int]) -> tuple[int, ...]:
    """The lines a finding shows."""
    return tuple(sorted(lines)[:SHOWN_LINES])
