"""Can a suite show what its margin asks? Told when the suite is loaded, before anybody is asked anything."""

import math
from pathlib import Path

from harness import verdict
from harness.records import Suite
from harness.serial import LineError, read_yaml

# Half a point is as fine as a margin is ever chosen.
STEP = 0.005
ROUNDING = 1e-9
SELDOM = 0.25


def margin_warnings(suite: Suite, *, file: Path) -> tuple[str, ...]:
    """`file:line: what; remedy` for a margin that the suite's cases cannot be expected to show; empty when they can.

    What is expected comes from the number of cases and trials alone, see `margin_support`.

    Args:
        suite: The suite as it will be asked; its `path` is how the file is called.
        file: Where to read it, for the line.
    """
    if suite.role in {"target", "info"}:  # their margin needs no proof, and planning one takes scipy to load
        return ()
    support = verdict.margin_support(suite)
    if support is None or support.is_enough:
        return ()
    return (f"{suite.path}:{_line(file, suite)}: {_what(suite, support)}; {_remedy(support)}",)


def _what(suite: Suite, support: "verdict.Support") -> str:
    default = "" if suite.margin is not None else f", the default of a {suite.role} suite,"
    return (
        f"margin {_number(support.margin)}{default} cannot be shown with {_units(support, support.units)} "
        f"(a model that lost nothing is {_chance(support.chance)})"
    )


def _units(support: "verdict.Support", number: int) -> str:
    word = ("family" if number == 1 else "families") if support.by_family else "case" + "s" * (number != 1)
    return f"{number:,} {word}"


def _chance(chance: float) -> str:
    """Planned from so little, a chance is no more than a word."""
    return "seldom proved safe" if chance < SELDOM else "proved safe in less than half of its runs"


def _remedy(support: "verdict.Support") -> str:
    margin = f"margin {_number(math.ceil(support.provable / STEP - ROUNDING) * STEP)}"
    if support.needed is None:
        return f"{margin} would do"
    return f"about {_units(support, support.needed)}, or {margin}, would do"


def _number(share: float) -> str:
    return f"{share:.3f}".rstrip("0").rstrip(".")


def _line(file: Path, suite: Suite) -> int:
    """The line of the margin, or of the role whose default it is."""
    try:
        document = read_yaml(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, LineError):  # it was read a moment ago, and may be gone
        return 1
    return document.line(("margin",) if suite.margin is not None else ("role",))
