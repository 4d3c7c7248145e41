"""A training by step: loss, token accuracy and the suites at its checkpoints, one under the other over the same steps."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.records import record
from harness.report.charts.behaviour import BehaviourLine, behaviour_summary, plot_behaviour
from harness.report.charts.svg import FAINT, FAULT, INK, PAPER, TRAIN, VALID, WIDTH_IN, Chart, dress, inline
from harness.training import CurveFault

KEY = "training"
LOSS_HEIGHT_IN, ACCURACY_HEIGHT_IN, BEHAVIOUR_HEIGHT_IN = 2.5, 1.9, 2.3
SMOOTHED_FROM = 40
"""From this many measured steps on, a running median is drawn over the measurements: a few wild batches do not bend it."""
SMOOTHING_SPAN = 25
"""The running median covers one in so many of the steps."""
MOST_POINTS, MOST_MEDIANS = 2000, 400
"""A longer series is drawn by its extremes, and its running median at so many places: a page has no more points."""
MOST_EPOCHS_MARKED = 12
USUAL_SHARE, SPIKE_ROOM = 0.9, 1.6
"""Where a series has spikes its scale ends so many times above what so many of its values are below."""
TITLE_PT, TITLE_OVER_EPOCHS_PT = 6, 20
WITHOUT_LETTERS = 0.97
"""The share of the width that is left of the letters which mark the suites' lines."""
LEAST_SHADE = 0.01
"""The narrowest stretch that is shaded, as a share of the steps: thinner ones could not be seen."""


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


def draw_training(
    steps: pd.DataFrame | None,
    *,
    epochs: int | None = None,
    faults: Sequence[CurveFault] = (),
    lines: Sequence[BehaviourLine] = (),
) -> Chart | None:
    """Draw a training, or nothing where nothing of it was measured.

    Args:
        steps: A training curve's steps, if there is one.
        epochs: How many there were: their ends are marked, unless there is one only or too many to read.
        faults: What is wrong with the curve; those with a place are marked there with their number in this order.
        lines: The suites at checkpoints.
    """
    courses = {measure: _courses(steps, measure) for measure in MEASURES}
    panels = [measure for measure in MEASURES if any(len(values) for values in courses[measure].values())]
    if not panels and not lines:
        return None
    gaps = [start for fault in faults if fault.kind == "gap" for start in fault.steps[::2]]
    heights = [ACCURACY_HEIGHT_IN if measure.is_share else LOSS_HEIGHT_IN for measure in panels]
    heights += [BEHAVIOUR_HEIGHT_IN] if lines else []
    span = _span([values for measure in panels for values in courses[measure].values()], lines)
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": KEY, "font.size": 10, "text.parse_math": False}
    ):
        figure = Figure(figsize=(WIDTH_IN, sum(heights)), layout="constrained")
        figure.patch.set_visible(False)
        if lines:
            # Room for the letters at the lines' ends, which are no part of the layout.
            figure.set_layout_engine("constrained", rect=(0, 0, WITHOUT_LETTERS, 1))
        grid = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, measure in zip(grid, panels, strict=False):
            _plot(axes, courses[measure], measure, gaps=gaps)
            _dress(axes, measure, top=_top(courses[measure], faults))
            _mark_faults(axes, faults, measure, span=span)
        if lines:
            plot_behaviour(grid[-1], lines, span=span[1] - span[0])
        has_epochs = epochs is not None and 1 < epochs <= MOST_EPOCHS_MARKED and bool(panels)
        titles = [f"{measure.title}, %" if measure.is_share else measure.title for measure in panels]
        _mark_axes(
            grid, [*titles, *(["Suites at checkpoints, score"] if lines else [])], has_epochs=has_epochs
        )
        grid[-1].set_xlim(*_with_margins(span))
        if epochs is not None and has_epochs:
            _mark_epochs(grid, last_step=span[1], epochs=epochs)
        summary = " ".join(_summary(courses[measure], measure) for measure in panels)
        if lines:
            summary = f"{summary} {behaviour_summary(lines)}".strip()
        svg = inline(figure, key=KEY, summary=summary)
    return Chart(title="Training by step", unit="", svg=svg, summary=summary)


_Courses = Mapping[str, pd.Series]


def _courses(steps: pd.DataFrame | None, measure: Measure) -> _Courses:
    """What was measured of one measure: a series by step for each of its columns."""
    columns = (measure.train, measure.valid, measure.full_valid)
    return {column: _measured(steps, column) for column in columns}


def _measured(steps: pd.DataFrame | None, column: str) -> pd.Series:
    """One column by step, without the steps at which it was not measured."""
    if steps is None or column not in steps:
        return pd.Series(dtype=float)
    values = steps[column].to_numpy(dtype=float)
    is_measured = np.isfinite(values)
    at = steps["step"].to_numpy(dtype=float)[is_measured]
    measured: pd.Series = pd.Series(values[is_measured], index=at)
    return measured


def _span(courses: Sequence[pd.Series], lines: Sequence[BehaviourLine]) -> tuple[float, float]:
    """The first and last step of all that is drawn."""
    at = [float(step) for values in courses if len(values) for step in (values.index[0], values.index[-1])]
    at += [float(point.step) for line in lines for point in line.points]
    return min(at), max(at)


def _with_margins(span: tuple[float, float]) -> tuple[float, float]:
    margin = 0.02 * (span[1] - span[0]) or 0.5
    return span[0] - margin, span[1] + margin


def _plot(axes: Axes, courses: _Courses, measure: Measure, *, gaps: Sequence[float]) -> None:
    for column, colour in ((measure.train, TRAIN), (measure.valid, VALID)):
        values = courses[column]
        borders = np.searchsorted(values.index.to_numpy(), gaps, side="right")
        for start, end in pairwise((0, *(int(border) for border in borders), len(values))):
            _line(axes, values.iloc[start:end], colour)
    full = courses[measure.full_valid]
    if full.empty:  # matplotlib would lay the figure out around markers at infinity
        return
    axes.plot(
        full.index,
        full.to_numpy(),
        color=VALID,
        linewidth=0,
        marker="D",
        markersize=6,
        zorder=4,
        clip_on=False,
    )


def _line(axes: Axes, values: pd.Series, colour: str) -> None:
    """The measurements; where there are many, faint, with their running median over them."""
    is_long = len(values) >= SMOOTHED_FROM
    marker = "o" if len(values) == 1 else None
    drawn = _envelope(values)
    axes.plot(
        drawn.index,
        drawn.to_numpy(),
        color=colour,
        linewidth=1 if is_long else 1.6,
        alpha=0.3 if is_long else 1,
        marker=marker,
    )
    if is_long:
        middle = _running_median(values)
        axes.plot(middle.index, middle.to_numpy(), color=colour, linewidth=2)


def _envelope(values: pd.Series) -> pd.Series:
    """Of a series too long to be seen whole, the lowest and the highest of each stretch."""
    if len(values) <= MOST_POINTS:
        return values
    numbers = values.to_numpy()
    stretches = np.array_split(np.arange(len(values)), MOST_POINTS // 2)
    ends = [(part[np.argmin(numbers[part])], part[np.argmax(numbers[part])]) for part in stretches]
    return values.iloc[np.unique(ends)]


def _running_median(values: pd.Series) -> pd.Series:
    """The median of as many neighbours on either side, fewer towards the ends, so that no end is bent."""
    numbers, last = values.to_numpy(), len(values) - 1
    places = np.unique(np.linspace(0, last, min(len(values), MOST_MEDIANS)).astype(int))
    reach = np.minimum(np.minimum(places, last - places), max(2, len(values) // SMOOTHING_SPAN // 2))
    stretches = zip(places - reach, places + reach + 1, strict=True)
    medians = [float(np.median(numbers[start:end])) for start, end in stretches]
    return pd.Series(medians, index=values.index[places])


def _top(courses: _Courses, faults: Sequence[CurveFault]) -> float | None:
    """Where the scale of losses ends: above all but the spikes, which would press the rest flat; None where none spikes."""
    columns = {fault.column for fault in faults if fault.kind == "loss spikes" and fault.column in courses}
    if not columns:
        return None
    usual = [
        float(values.quantile(USUAL_SHARE)) if column in columns else float(values.max())
        for column, values in courses.items()
        if len(values)
    ]
    return SPIKE_ROOM * max(usual)


def _dress(axes: Axes, measure: Measure, *, top: float | None) -> None:
    dress(axes)
    if measure.is_share:
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.0f}"))
    else:
        axes.set_ylim(0, top)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _mark_axes(grid: npt.NDArray[np.object_], titles: Sequence[str], *, has_epochs: bool) -> None:
    """Each panel's title over it, above the numbers of epochs if there are any; the word for the steps under the last."""
    for place, (axes, title) in enumerate(zip(grid, titles, strict=True)):
        pad = TITLE_OVER_EPOCHS_PT if has_epochs and place == 0 else TITLE_PT
        axes.set_title(title, loc="left", color=INK, fontsize=10, pad=pad)
        axes.label_outer()
    grid[-1].set_xlabel("step", color=INK)


def _mark_epochs(grid: npt.NDArray[np.object_], *, last_step: float, epochs: int) -> None:
    """A thin line where each epoch ends, its number over its middle."""
    per_epoch = last_step / epochs
    for epoch in range(1, epochs + 1):
        end = epoch * per_epoch
        for axes in grid:
            if epoch < epochs:
                axes.axvline(end, color=FAINT, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
        label = f"epoch {epoch}" if epoch == 1 else str(epoch)
        place = (end - per_epoch / 2, 1.02)
        grid[0].text(
            *place, label, transform=grid[0].get_xaxis_transform(), ha="center", va="bottom", color=INK
        )


# --- faults --------------------------------------------------------------------------------------------


def _mark_faults(
    axes: Axes, faults: Sequence[CurveFault], measure: Measure, *, span: tuple[float, float]
) -> None:
    """Each fault of this measure, or of all: its stretches shaded or its steps marked, and its number at the top."""
    columns = {"", measure.train, measure.valid, measure.full_valid}
    row = 0
    for number, fault in enumerate(faults, start=1):
        if fault.column not in columns:
            continue
        if fault.corrected is not None:
            colour = TRAIN if fault.column == measure.train else VALID
            axes.plot(
                span[1],
                fault.corrected,
                color=colour,
                marker="D",
                markersize=6,
                fillstyle="none",
                clip_on=False,
            )
            _badge(axes, number, (span[1], fault.corrected), offset=(-14, 0), is_data=True)
        if fault.from_step is None:
            continue
        stretches = _stretches(fault, least=LEAST_SHADE * (span[1] - span[0]))
        for start, end in stretches:
            axes.axvspan(start, end, color=FAULT, alpha=0.16, linewidth=0, zorder=0)
        middle = (stretches[0][0] + stretches[0][1]) / 2
        _badge(axes, number, (middle, 1), offset=(0, -9 - 16 * row))
        row += 1


def _badge(
    axes: Axes, number: int, place: tuple[float, float], *, offset: tuple[int, int], is_data: bool = False
) -> None:
    """A fault's number in a disc, `offset` points from a place: of the data, or with its height as a share of the panel."""
    badge = axes.annotate(
        str(number),
        place,
        xycoords="data" if is_data else axes.get_xaxis_transform(),
        xytext=offset,
        textcoords="offset points",
        ha="center",
        va="center",
        color=PAPER,
        fontsize=8.5,
        bbox={"boxstyle": "circle,pad=0.25", "facecolor": FAULT, "edgecolor": "none"},
        zorder=6,
    )
    badge.set_in_layout(False)


def _stretches(fault: CurveFault, *, least: float) -> list[tuple[float, float]]:
    """Where a fault is: between pairs of steps for gaps, at single steps, or all the way."""
    assert fault.from_step is not None
    assert fault.to_step is not None
    if fault.kind == "gap":
        return [
            (float(start), float(end)) for start, end in zip(fault.steps[::2], fault.steps[1::2], strict=True)
        ]
    if fault.steps:
        return [(step - least / 2, step + least / 2) for step in fault.steps]
    start, end = float(fault.from_step), float(fault.to_step)
    return [(start, end)] if end - start >= least else [(start - least / 2, start + least / 2)]


# --- words ---------------------------------------------------------------------------------------------


def _summary(courses: _Courses, measure: Measure) -> str:
    """`Loss: training 3.10 at step 1, 0.21 at step 75; full validation ...`."""
    words = (
        (measure.train, "training"),
        (measure.valid, "validation"),
        (measure.full_valid, "full validation"),
    )
    parts = [_course(courses[column], word, measure) for column, word in words if len(courses[column])]
    return f"{measure.title}: {'; '.join(parts)}."


def _course(values: pd.Series, word: str, measure: Measure) -> str:
    def shown(value: float) -> str:
        return f"{value * 100:.1f} %" if measure.is_share else f"{value:.2f}"

    first, last = values.iloc[0], values.iloc[-1]
    start = f"{word} {shown(first)} at step {values.index[0]:.0f}"
    return start if len(values) == 1 else f"{start}, {shown(last)} at step {values.index[-1]:.0f}"
