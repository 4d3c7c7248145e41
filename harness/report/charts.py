"""Drawings as inline SVG: a training curve's loss and token accuracy by step, and how counts are spread over rows.

matplotlib draws; what it writes is then cut down to what a page under a strict content security
policy can hold: no style attributes, no metadata, colours as the page's own variables (so that a
drawing follows light and dark), text as text in the page's font, coordinates to a tenth of a unit.
"""

import io
import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.dataset.histograms import MOST_BARS, Histogram
from harness.records import record
from harness.report.notation import counted

WIDTH_IN, HEIGHT_IN = 6.6, 3.4
"""72 SVG units per inch: near the width of a column of the page, so that text keeps its size."""
SMOOTHED_FROM = 60
"""From this many measured steps on, a running mean is drawn over the measurements."""
SMOOTHING_SPAN = 25
"""The running mean covers one in so many of the steps."""
MOST_EPOCHS_MARKED = 12
SPREAD_HEIGHT_IN = 2.4
BAR_SHARE = 0.9
"""Of the room a bar has."""
LIMIT_NEAR = 1.5
"""A limit is drawn where it makes the scale no longer than so many times what the rows take."""

# Colours that stand for the page's variables: matplotlib wants hex, the page wants var(--...).
_TRAIN, _VALID, _INK, _FAINT, _LIMIT = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {
    _TRAIN: "var(--train)",
    _VALID: "var(--valid)",
    _INK: "var(--muted)",
    _FAINT: "var(--rule)",
    _LIMIT: "var(--bad)",
}
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_KEPT_STYLES = frozenset(
    {
        "fill",
        "stroke",
        "stroke-width",
        "stroke-linecap",
        "stroke-linejoin",
        "stroke-dasharray",
        "stroke-opacity",
        "fill-opacity",
        "opacity",
        "text-anchor",
    }
)


@record
class Measure:
    """What one drawing shows: a word for it, and which columns of the curve hold it."""

    key: str
    title: str
    is_share: bool
    train: str
    valid: str
    full_valid: str


MEASURES = (
    Measure(
        key="loss",
        title="Loss",
        is_share=False,
        train="train_loss",
        valid="valid_loss",
        full_valid="full_valid_loss",
    ),
    Measure(
        key="accuracy",
        title="Token accuracy",
        is_share=True,
        train="train_accuracy",
        valid="valid_accuracy",
        full_valid="full_valid_accuracy",
    ),
)


@record
class Chart:
    """A drawing, and the same in one sentence for those who do not see it."""

    title: str
    unit: str
    svg: Markup
    summary: str


def draw(steps: pd.DataFrame, measure: Measure, *, epochs: int | None = None) -> Chart | None:
    """Draw one measure of a training curve, or nothing where it was never measured.

    Args:
        steps: One row per step: `step` and the columns that `measure` names, NaN where unmeasured.
        measure: What to draw.
        epochs: How many epochs the steps make, when that is known.
    """
    series = {name: _measured(steps, name) for name in (measure.train, measure.valid, measure.full_valid)}
    if all(len(values) == 0 for values in series.values()):
        return None
    summary = _summary(series, measure)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": measure.key, "font.size": 10}):
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        _plot(axes, series, measure)
        _dress(axes, measure)
        if epochs and 1 < epochs <= MOST_EPOCHS_MARKED:
            _mark_epochs(axes, last_step=float(steps["step"].max()), epochs=epochs)
        svg = _inline(figure, key=measure.key, summary=summary)
    unit = "% of answer tokens predicted" if measure.is_share else "cross-entropy per answer token"
    return Chart(title=measure.title, unit=unit, svg=svg, summary=summary)


def _measured(steps: pd.DataFrame, column: str) -> pd.Series:
    """One column by step, without the steps at which it was not measured."""
    if column not in steps:
        return pd.Series(dtype=float)
    values = steps[column].to_numpy(dtype=float)
    is_measured = np.isfinite(values)
    at = steps["step"].to_numpy(dtype=float)[is_measured]
    measured: pd.Series = pd.Series(values[is_measured], index=at)
    return measured


def _plot(axes: Axes, series: dict[str, pd.Series], measure: Measure) -> None:
    for column, colour in ((measure.train, _TRAIN), (measure.valid, _VALID)):
        _line(axes, series[column], colour)
    full = series[measure.full_valid]
    axes.plot(
        full.index,
        full.to_numpy(),
        color=_VALID,
        linewidth=0,
        marker="D",
        markersize=6,
        zorder=4,
        clip_on=False,
    )


def _line(axes: Axes, values: pd.Series, colour: str) -> None:
    """The measurements; where there are many, faint, with their running mean over them."""
    is_long = len(values) >= SMOOTHED_FROM
    marker = "o" if len(values) == 1 else None
    axes.plot(
        values.index,
        values.to_numpy(),
        color=colour,
        linewidth=1 if is_long else 1.6,
        alpha=0.3 if is_long else 1,
        marker=marker,
    )
    if is_long:
        axes.plot(values.index, _running_mean(values.to_numpy()), color=colour, linewidth=2)


def _running_mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean of as many neighbours on either side, fewer towards the ends, so that no end is bent."""
    places = np.arange(len(values))
    reach = np.minimum(np.minimum(places, places[::-1]), max(1, len(values) // SMOOTHING_SPAN // 2))
    sums = np.concatenate(([0.0], np.cumsum(values)))
    means: npt.NDArray[np.float64] = (sums[places + reach + 1] - sums[places - reach]) / (2 * reach + 1)
    return means


def _dress(axes: Axes, measure: Measure) -> None:
    _dress_plainly(axes)
    axes.set_xlabel("step", color=_INK)
    axes.margins(x=0.02)
    if measure.is_share:
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.0f}"))
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _dress_plainly(axes: Axes) -> None:
    """Few lines, in the page's colours."""
    axes.patch.set_visible(False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.tick_params(axis="x", color=_FAINT, labelcolor=_INK)
    axes.tick_params(axis="y", length=0, labelcolor=_INK)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=_FAINT, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _mark_epochs(axes: Axes, *, last_step: float, epochs: int) -> None:
    """A thin line where each epoch ends, its number before the line."""
    per_epoch = last_step / epochs
    for epoch in range(1, epochs + 1):
        end = epoch * per_epoch
        if epoch < epochs:
            axes.axvline(end, color=_FAINT, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
        label = f"epoch {epoch}" if epoch == 1 else str(epoch)
        axes.text(
            end - per_epoch / 2,
            1.02,
            label,
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            color=_INK,
        )


def _summary(series: dict[str, pd.Series], measure: Measure) -> str:
    """`Loss: training 3.10 at step 1, 0.21 at step 75; full validation ...`."""
    words = (
        (measure.train, "training"),
        (measure.valid, "validation"),
        (measure.full_valid, "full validation"),
    )
    parts = [_course(series[column], word, measure) for column, word in words if len(series[column])]
    return f"{measure.title}: {'; '.join(parts)}."


def _course(values: pd.Series, word: str, measure: Measure) -> str:
    def shown(value: float) -> str:
        return f"{value * 100:.1f} %" if measure.is_share else f"{value:.2f}"

    first, last = values.iloc[0], values.iloc[-1]
    start = f"{word} {shown(first)} at step {values.index[0]:.0f}"
    return start if len(values) == 1 else f"{start}, {shown(last)} at step {values.index[-1]:.0f}"


# --- how counts are spread -----------------------------------------------------------------------------


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
        _dress_plainly(axes)
        colour = _VALID if spread.is_valid else _TRAIN
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
            axes.text(*place, "more", transform=axes.get_xaxis_transform(), ha="center", va="top", color=_INK)
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
        svg = _inline(figure, key=spread.key, summary=summary)
    return Chart(title=spread.title, unit="rows", svg=svg, summary=summary)


def _mark_limit(axes: Axes, limit: int, *, scale: tuple[int, int], far: int) -> int:
    """A line where rows are cut, or a word that it is off the scale; gives the end of the scale."""
    start, end = scale
    if start <= limit <= far:
        axes.axvline(limit, color=_LIMIT, linewidth=1.4, linestyle=(0, (4, 3)))
        axes.text(
            limit, 1.02, f"limit {limit:,}", transform=axes.get_xaxis_transform(), ha="center", color=_LIMIT
        )
        return max(end, limit + (end - start) // 10)
    is_above = limit > far
    word = f"limit {limit:,} \N{RIGHTWARDS ARROW}" if is_above else f"\N{LEFTWARDS ARROW} limit {limit:,}"
    side = "right" if is_above else "left"
    axes.text(float(is_above), 1.02, word, transform=axes.transAxes, ha=side, color=_INK)
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


# --- from matplotlib's document to a part of ours ----------------------------------------------------


def _inline(figure: Figure, *, key: str, summary: str) -> Markup:
    """The figure as one `<svg>` element for the page; `summary` is its accessible name."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - matplotlib's own text
    for parent in root.iter():
        for child in list(parent):
            if child.tag in {f"{_SVG}style", f"{_SVG}metadata"} or not isinstance(child.tag, str):
                parent.remove(child)
    for element in root.iter():
        _clean(element, prefix=key)
    view_box = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": view_box, "role": "img", "aria-label": summary, "class": "chart"})
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - a serialised tree, escaped by ElementTree


def _clean(element: ET.Element, *, prefix: str) -> None:
    """Style attributes to presentation attributes, ids to the page's, numbers to a tenth."""
    element.tag = element.tag.removeprefix(_SVG)
    style = element.attrib.pop("style", "")
    for name, _, value in (part.partition(":") for part in style.split(";")):
        if name.strip() in _KEPT_STYLES:
            element.set(name.strip(), value.strip())
    target = element.attrib.pop(_XLINK, None)
    if target is not None:
        element.set("href", f"#{prefix}-{target.removeprefix('#')}")
    if element.tag == "g":  # nothing refers to a group
        element.attrib.pop("id", None)
    elif "id" in element.attrib:
        element.set("id", f"{prefix}-{element.attrib['id']}")
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    for name, value in element.attrib.items():
        element.set(name, _shortened(name, value, prefix=prefix))


def _shortened(name: str, value: str, *, prefix: str) -> str:
    if name in {"d", "x", "y", "width", "height", "transform"}:
        return re.sub(r"-?\d+\.\d+", lambda match: f"{float(match[0]):.1f}".removesuffix(".0"), value)
    if name == "clip-path":
        return value.replace("url(#", f"url(#{prefix}-")
    return _VARIABLES.get(value, value)
