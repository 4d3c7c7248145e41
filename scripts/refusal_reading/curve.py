"""Would more rows help? The cross-validation again, taught by a part of the labelled prompts or of our own long rows."""

import hashlib

import numpy as np
from fitting import PEOPLE, Recipe, Table
from numpy.typing import NDArray
from validation import held_out, print_f1, print_rates, read_by_lines_of_others

_SHARES = (0.1, 0.25, 0.5, 1.0)


def print_curve(table: Table, recipe: Recipe) -> None:
    """F1 and the error of the rates with prompts and models held out, by the share of rows that teach."""
    ours = table.source == "own long"
    parts = {
        f"{share:.0%} of the labelled": _part(table, np.isin(table.source, PEOPLE), share)
        for share in _SHARES
    }
    parts |= {f"{share:.0%} of our long rows": _part(table, ours, share) for share in (0.0, 0.5)}
    readings = {
        name: read_by_lines_of_others(table, held_out(table, recipe, taught_by).models)
        for name, taught_by in parts.items()
    }
    print_f1(table, readings, unread={})
    print_rates(table, readings)


def _part(table: Table, rows: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """All rows but those of the prompts that fall outside the share."""
    ranks = [hashlib.sha256(f"part {row.prompt}".encode()).digest()[0] / 256 for row in table.rows]
    return ~rows | (np.array(ranks) < share)
