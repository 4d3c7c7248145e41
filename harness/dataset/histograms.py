"""How are counts spread over the rows of a file? A few bars, however many rows there are."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from harness.records import record

# Bars a person can still tell apart, and that fit the width of a page.
MOST_BARS = 30
# Few rows that are many times longer than nearly all others would press those into one bar: they get a bar of their own.
_NEARLY_ALL = 0.99
_FAR_BEYOND = 2.0
_STEPS = (1, 2, 5)


@record
class Histogram:
    """Rows by a whole number each has.

    Attributes:
        start: Where the first bar begins.
        width: How many whole numbers a bar covers: bar i those from `start + i * width` to below `start + (i + 1) * width`.
        counts: Rows in each bar, at most `MOST_BARS` bars.
        beyond: Rows above the last bar; the greatest of them has `greatest`.
        greatest: The greatest number of any row.
    """

    start: int
    width: int
    counts: tuple[int, ...]
    beyond: int
    greatest: int

    @property
    def end(self) -> int:
        """The first whole number above the last bar."""
        return self.start + self.width * len(self.counts)


def histogram(values: Sequence[int] | npt.NDArray[np.uint64]) -> Histogram:
    """The bars of numbers of 0 and more, of which there is at least one."""
    table = np.asarray(values, dtype=np.int64)
    least, greatest = int(table.min()), int(table.max())
    nearly_all = int(np.quantile(table, _NEARLY_ALL, method="higher"))
    is_far = greatest - least > max(MOST_BARS, _FAR_BEYOND * (nearly_all - least))
    top = nearly_all if is_far else greatest
    width = _nice_width(top - least + 1)
    start = least // width * width
    bars = (top - start) // width + 1
    places = (table - start) // width
    counts = np.bincount(places[places < bars], minlength=bars)
    return Histogram(
        start=start,
        width=width,
        counts=tuple(counts.tolist()),
        beyond=int((places >= bars).sum()),
        greatest=greatest,
    )


def widened(bars: Histogram, width: int) -> Histogram:
    """The same rows in bars of `width`, a multiple of their own; as they are where it is none, or rows lie beyond."""
    if width % bars.width or bars.beyond:
        return bars
    start = bars.start // width * width
    counts = [0] * ((bars.end - 1 - start) // width + 1)
    for place, number in enumerate(bars.counts):
        counts[(bars.start + place * bars.width - start) // width] += number
    return replace(bars, start=start, width=width, counts=tuple(counts))


def _nice_width(span: int) -> int:
    """The smallest of 1, 2, 5 times a power of ten with which a span needs no more bars than there may be."""
    power = 1
    while True:
        for step in _STEPS:
            # One bar is lost where the first begins at a round number below the least.
            if span / (step * power) <= MOST_BARS - 1:
                return step * power
        power *= 10
