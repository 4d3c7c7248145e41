"""How a model's answers changed along its training: the suites at each checkpoint, as few enough lines to read."""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.records import CheckpointStudy, SuiteMark, SuiteRole, record
from harness.report.charts.svg import LINES, dress

MOST_LINES = 6
"""With more target suites than this their mean is drawn, and the lowest of them."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LETTERS = "abcdefg"
_GUARDING: tuple[SuiteRole, ...] = ("guard", "critical")
# How far apart the bars of two lines at one step stand, as a share of the steps' span.
_APART = 0.008
_LEAST_SPAN = 0.2  # of the scale: smaller differences are not blown up beyond it
_MARGIN = 0.04


@record
class BehaviourPoint:
    """A score at a step, 0..1, with its two-sided 90 % interval where it is known."""

    step: int
    mean: float
    low: float | None = None
    high: float | None = None


@record
class BehaviourLine:
    """A line of the drawing: the letter it is marked with, what it shows, and its number among the page's line colours."""

    letter: str
    name: str
    points: tuple[BehaviourPoint, ...]
    kind: Literal["suite", "mean", "lowest", "guards"] = "suite"


def behaviour_lines(
    study: CheckpointStudy, *, roles: Mapping[str, SuiteRole] | None = None
) -> tuple[BehaviourLine, ...]:
    """A line for each target suite, or their mean and the lowest of them, and one for all that guards.

    Args:
        study: The checkpoints' marks.
        roles: The suites' roles; where none is a target, every suite counts as one.
    """
    known = roles or {}
    suites = list(dict.fromkeys(mark.suite for at in study.checkpoints for mark in at.marks))
    targets = [suite for suite in suites if known.get(suite) == "target"]
    guards = [suite for suite in suites if known.get(suite) in _GUARDING] if targets else []
    found = _target_lines(study, targets or suites)
    if guards:
        name = guards[0] if len(guards) == 1 else f"{len(guards)} guards, their mean"
        found.append((name, "guards", _points(study, guards, _mean_mark)))
    shown = [(name, kind, points) for name, kind, points in found if points]
    return tuple(
        BehaviourLine(letter=letter, name=name, kind=kind, points=points)
        for letter, (name, kind, points) in zip(_LETTERS, shown, strict=False)
    )


_Found = tuple[str, Literal["suite", "mean", "lowest", "guards"], tuple[BehaviourPoint, ...]]


def _target_lines(study: CheckpointStudy, suites: Sequence[str]) -> list[_Found]:
    if len(suites) <= MOST_LINES:
        return [(suite, "suite", _points(study, [suite], _mean_mark)) for suite in suites]
    return [
        (f"{len(suites)} suites, their mean", "mean", _points(study, suites, _mean_mark)),
        ("the lowest of them", "lowest", _points(study, suites, _lowest_mark)),
    ]


def _points(
    study: CheckpointStudy, suites: Sequence[str], summed: Callable[[Sequence[SuiteMark]], SuiteMark]
) -> tuple[BehaviourPoint, ...]:
    found = []
    for checkpoint in sorted(study.checkpoints, key=lambda point: point.step):
        marks = [mark for mark in checkpoint.marks if mark.suite in suites and mark.mean is not None]
        # A mean over other suites than at the other steps would move for that alone.
        if len(marks) != len(suites):
            continue
        mark = summed(marks)
        if mark.mean is not None:
            found.append(BehaviourPoint(step=checkpoint.step, mean=mark.mean, low=mark.low, high=mark.high))
    return tuple(found)


def _mean_mark(marks: Sequence[SuiteMark]) -> SuiteMark:
    """The mean of suites of different cases, so their errors are independent: half-widths add as squares."""
    mean = fmean(mark.mean for mark in marks if mark.mean is not None)
    below = [mark.mean - mark.low for mark in marks if mark.mean is not None and mark.low is not None]
    above = [mark.high - mark.mean for mark in marks if mark.mean is not None and mark.high is not None]
    if len(below) != len(marks) or len(above) != len(marks):
        return SuiteMark(suite="", mean=mean)
    return SuiteMark(
        suite="",
        mean=mean,
        low=max(0.0, mean - math.hypot(*below) / len(marks)),
        high=min(1.0, mean + math.hypot(*above) / len(marks)),
    )


def _lowest_mark(marks: Sequence[SuiteMark]) -> SuiteMark:
    return min(marks, key=lambda mark: math.inf if mark.mean is None else mark.mean)


def plot_behaviour(axes: Axes, lines: Sequence[BehaviourLine], *, span: float) -> None:
    """Draw the lines with their intervals; `span` is the length of the step axis."""
    for number, line in enumerate(lines):
        colour, marker = LINES[number], MARKERS[number]
        shift = (number - (len(lines) - 1) / 2) * _APART * span
        at = np.array([point.step for point in line.points]) + shift
        means = np.array([point.mean for point in line.points])
        style = (0, (4, 2)) if line.kind == "guards" else "-"
        axes.plot(
            at, means, color=colour, linewidth=1.6, linestyle=style, marker=marker, markersize=5, zorder=3
        )
        bars = [
            (point.step + shift, point.low, point.high)
            for point in line.points
            if point.low is not None and point.high is not None
        ]
        for place, low, high in bars:
            axes.vlines(place, low, high, color=colour, linewidth=1.2)
    _mark_ends(axes, lines)
    dress(axes)
    axes.set_ylim(*_scale(lines))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.0f}"))


def _mark_ends(axes: Axes, lines: Sequence[BehaviourLine]) -> None:
    """Each line's letter at its end, apart where lines end together."""
    low, high = _scale(lines)
    room = (high - low) / 10
    ends = sorted(range(len(lines)), key=lambda number: lines[number].points[-1].mean)
    taken = -math.inf
    for number in ends:
        line = lines[number]
        height = max(line.points[-1].mean, taken + room)
        taken = height
        letter = axes.annotate(
            line.letter,
            (1, height),
            xycoords=axes.get_yaxis_transform(),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=LINES[number],
            annotation_clip=False,
        )
        letter.set_in_layout(False)


def _scale(lines: Sequence[BehaviourLine]) -> tuple[float, float]:
    points = [point for line in lines for point in line.points]
    low = min(point.mean if point.low is None else point.low for point in points)
    high = max(point.mean if point.high is None else point.high for point in points)
    missing = max(0.0, _LEAST_SPAN - (high - low)) / 2 + _MARGIN
    return max(-_MARGIN, low - missing), min(1 + _MARGIN, high + missing)


def behaviour_summary(lines: Sequence[BehaviourLine]) -> str:
    """`Suites: in routing 61 % at step 25, 84 % at step 75; ...` in words."""
    courses = []
    for line in lines:
        first, last = line.points[0], line.points[-1]
        course = f"in {line.name} {first.mean * 100:.0f} % at step {first.step}"
        courses.append(course if first is last else f"{course}, {last.mean * 100:.0f} % at step {last.step}")
    return f"Suites: {'; '.join(courses)}."
