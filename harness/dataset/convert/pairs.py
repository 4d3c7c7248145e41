"""Questions and answers: `prompt` and `completion`, and the same under other names, from JSON or the columns of a table."""

from collections.abc import Mapping

from harness.dataset.convert.turns import Conversion, NotConvertible, chat_row, left_over, text_at
from harness.dataset.shapes import PAIRS
from harness.records import Json

_SYSTEM = "system"


def from_pairs(row: Mapping[str, Json]) -> Conversion:
    """One question and its answer; the space before a completion and line ends around both, signs of the older format, go."""
    for asked, answered in PAIRS:
        if asked in row and answered in row:
            turns = [
                ("user", text_at(row, asked, required=True).strip()),
                ("assistant", text_at(row, answered, required=True).strip()),
            ]
            return Conversion(
                row=chat_row(turns, system=text_at(row, _SYSTEM)),
                dropped=left_over(row, (asked, answered, _SYSTEM)),
            )
    known = ", ".join(f"{asked} and {answered}" for asked, answered in PAIRS)
    raise NotConvertible(f"no pair of keys to read: known are {known}")
