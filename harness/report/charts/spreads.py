"""How counts are spread over the rows of a file: bars, with the limit where rows are cut."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.dataset.histograms import MOST_BARS, Histogram
from harness.records import record
from harness.report.charts.svg import INK, LIMIT, TRAIN, VALID, WIDTH_IN, Chart, dress, inline
from harness.report.notation import counted

SPREAD_HEIGHT_IN = 2.4
BAR_SHARE = 0.9
"""Of the room a bar has."""
LIMIT_NEAR = 1.5
"""A limit is drawn where it makes the scale no longer than so many times what the rows take."""


@record
class Spread:
    """What a drawing of bars shows, and how.

    Attributes:
        key: A word of its own on the page.
        title: What is counted of each row.
        bars: The rows.
        is_valid: Whether the rows are those of a validation file, which have a colour of their own.
        limit: Marked where it falls near the bars.
        span: The first and last number of the scale, where several drawings share one.
    """

    key: str
    title: str
    bars: Histogram
    is_valid: bool = False
    limit: int | None = None
    span: tuple[int, int] | None = None


def draw_spread(spread: Spread) -> Chart:
    """Draw rows as bars by how much of something they have."""
    bars = spread.bars
    summary = _spread_summary(spread)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": spread.key, "font.size": 10}):
        figure = Figure(figsize=(WIDTH_IN, SPREAD_HEIGHT_IN), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        dress(axes)
        colour = VALID if spread.is_valid else TRAIN
        # A bar of one number stands over it, one of several begins at the first of them.
        shift = 0.5 if bars.width == 1 else 0.0
        lefts = bars.start - shift + np.arange(len(bars.counts)) * bars.width
        axes.bar(lefts, bars.counts, width=bars.width * BAR_SHARE, align="edge", color=colour)
        start, end = spread.span or (bars.start, bars.end)
        if bars.beyond:
            # Apart from the scale, of which these rows would make most.
            width = max(bars.width, (end - start) // MOST_BARS)
            axes.bar([end + width], [bars.beyond], width=width, align="edge", color=colour, alpha=0.45)
            place = (end + 1.5 * width, -0.05)
            axes.text(*place, "more", transform=axes.get_xaxis_transform(), ha="center", va="top", color=INK)
            end += 2 * width
        if spread.limit is not None:
            # Where rows stand apart the scale ends before them, and has no place for a limit beyond.
            far = bars.end if bars.beyond else int(LIMIT_NEAR * end)
            end = _mark_limit(axes, spread.limit, scale=(start, end), far=far)
        axes.set_xlim(start - shift, end - shift)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        # What stands apart has no place on the scale.
        scale = bars.end if bars.beyond else np.inf
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:,.0f}" if value <= scale else "")
        )
        svg = inline(figure, key=spread.key, summary=summary)
    return Chart(title=spread.title, unit="rows", svg=svg, summary=summary)


def _mark_limit(axes: Axes, limit: int, *, scale: tuple[int, int], far: int) -> int:
    """A line where rows are cut, or a word that it is off the scale; gives the end of the scale."""
    start, end = scale
    if start <= limit <= far:
        axes.axvline(limit, color=LIMIT, linewidth=1.4, linestyle=(0, (4, 3)))
        axes.text(
            limit, 1.02, f"limit {limit:,}", transform=axes.get_xaxis_transform(), ha="center", color=LIMIT
        )
        return max(end, limit + (end - start) // 10)
    is_above = limit > far
    word = f"limit {limit:,} \N{RIGHTWARDS ARROW}" if is_above else f"\N{LEFTWARDS ARROW} limit {limit:,}"
    side = "right" if is_above else "left"
    axes.text(float(is_above), 1.02, word, transform=axes.transAxes, ha=side, color=INK)
    return end


def _spread_summary(spread: Spread) -> str:
    """`Tokens a row: 20 rows between 208 and 355, most often 240 to 259.` in words."""
    bars = spread.bars
    place = int(np.argmax(bars.counts))
    low = bars.start + place * bars.width
    often = f"{low:,}" if bars.width == 1 else f"{low:,} to {low + bars.width - 1:,}"
    rows = sum(bars.counts) + bars.beyond
    text = f"{spread.title}: {rows:,} rows, most often {often}, at most {bars.greatest:,}"
    if bars.beyond:
        text += f"; {counted(bars.beyond, 'row')} of {bars.end:,} and more, apart at the right"
    return f"{text}."
