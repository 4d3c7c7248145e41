"""Scores by the amount of data as inline SVG: a mark for each arm with its interval, and the band of twice the data."""

import math
from itertools import pairwise

from markupsafe import Markup

from harness.records import DoublingEstimate, ScalingStudy, SuiteMark, record
from harness.report.notation import interval, points, signed_points

WIDTH, HEIGHT = 480, 250
LEFT, RIGHT, TOP, BOTTOM = 44, 16, 22, 40
# Room above and below what is drawn, and the least the scale spans, in score.
AIR, LEAST_SPAN = 0.03, 0.1
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)
_MOST_LINES = 6


@record
class Point:
    """One arm's score on a suite."""

    rows: int
    mean: float
    low: float
    high: float


@record
class Growth:
    """One suite's scores by rows of training data, and the estimate for twice the most."""

    suite: str
    points: tuple[Point, ...]
    estimate: DoublingEstimate | None

    @classmethod
    def of(cls, study: ScalingStudy, suite: str) -> "Growth":
        """What a study says of a suite; arms without a score are left out."""
        found = [
            point
            for arm in study.arms
            for mark in arm.marks
            if mark.suite == suite and (point := _point(arm.rows, mark)) is not None
        ]
        return cls(suite=suite, points=tuple(found), estimate=study.by_suite.get(suite))

    @property
    def is_drawn(self) -> bool:
        """Whether there are two sizes to draw."""
        return len({point.rows for point in self.points}) > 1

    @property
    def sizes(self) -> list[tuple[int, float]]:
        """Each size and the mean score of its arms."""
        rows = sorted({point.rows for point in self.points})
        means = [[point.mean for point in self.points if point.rows == size] for size in rows]
        return [(size, sum(found) / len(found)) for size, found in zip(rows, means, strict=True)]


@record
class GrowthChart:
    """A drawing, and the same in one sentence for those who do not see it."""

    suite: str
    svg: Markup
    summary: str
    estimate: DoublingEstimate | None


def _point(rows: int, mark: SuiteMark) -> Point | None:
    if mark.mean is None or mark.low is None or mark.high is None:
        return None
    return Point(rows=rows, mean=mark.mean, low=mark.low, high=mark.high)


@record
class _Scale:
    """From rows and scores to the drawing's units; rows by their logarithm, so that doublings are equally far."""

    fewest: int
    most: int
    low: float
    high: float

    def x(self, rows: float) -> float:
        share = math.log2(rows / self.fewest) / math.log2(self.most / self.fewest)
        return round(LEFT + 14 + share * (WIDTH - LEFT - RIGHT - 28), 1)

    def y(self, score: float) -> float:
        share = (score - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def draw_growth(growth: Growth) -> GrowthChart:
    """Draw a suite with two sizes or more."""
    scale = _scale(growth)
    parts = [*_grid(scale), *_sizes(growth, scale), *_foretold(growth, scale), *_measured(growth, scale)]
    summary = _summary(growth)
    svg = Markup('<svg class="growth" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, summary, Markup("").join(parts)
    )
    return GrowthChart(suite=growth.suite, svg=svg, summary=summary, estimate=growth.estimate)


def _scale(growth: Growth) -> _Scale:
    sizes = growth.sizes
    ends = [end for point in growth.points for end in (point.low, point.high)]
    most = sizes[-1][0]
    if growth.estimate is not None:
        ends += [sizes[-1][1] + growth.estimate.low, sizes[-1][1] + growth.estimate.high]
        most *= 2
    low, high = max(min(ends) - AIR, 0.0), min(max(ends) + AIR, 1.0)
    if high - low < LEAST_SPAN:
        low = max(high - LEAST_SPAN, 0.0)
        high = low + LEAST_SPAN
    return _Scale(fewest=sizes[0][0], most=most, low=low, high=high)


def _grid(scale: _Scale) -> list[Markup]:
    span = scale.high - scale.low
    step = next((step for step in _STEPS if span / step <= _MOST_LINES), _STEPS[-1])
    lines = [
        number * step
        for number in range(math.ceil(scale.low / step - 1e-9), math.floor(scale.high / step + 1e-9) + 1)
    ]
    return [
        Markup(
            '<path class="grid" d="M{} {}H{}"/><text class="tick" x="{}" y="{}" text-anchor="end">{}</text>'
        ).format(LEFT, scale.y(line), WIDTH - RIGHT, LEFT - 6, scale.y(line) + 4, f"{line * 100:.0f}")
        for line in lines
    ]


def _sizes(growth: Growth, scale: _Scale) -> list[Markup]:
    named = [(rows, f"{rows:,}") for rows, _ in growth.sizes]
    if growth.estimate is not None:
        named.append((2 * named[-1][0], f"{2 * named[-1][0]:,}?"))
    kept: list[tuple[int, str]] = []
    for rows, label in reversed(named):
        # Labels that would touch are left out; the largest stay.
        if not kept or scale.x(kept[-1][0]) - scale.x(rows) > 7 * len(label):
            kept.append((rows, label))
    labels = [
        Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            scale.x(rows), HEIGHT - BOTTOM + 17, label
        )
        for rows, label in kept
    ]
    name = Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">rows of training data</text>')
    return [*labels, name.format((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5)]


def _measured(growth: Growth, scale: _Scale) -> list[Markup]:
    lines = [
        Markup('<path class="course" d="M{} {}L{} {}"/>').format(
            scale.x(rows), scale.y(mean), scale.x(later_rows), scale.y(later)
        )
        for (rows, mean), (later_rows, later) in pairwise(growth.sizes)
    ]
    marks = [
        Markup('<path class="reach" d="M{} {}V{}"/><circle class="seen" cx="{}" cy="{}" r="4"/>').format(
            scale.x(point.rows),
            scale.y(point.low),
            scale.y(point.high),
            scale.x(point.rows),
            scale.y(point.mean),
        )
        for point in growth.points
    ]
    return [*lines, *marks]


def _foretold(growth: Growth, scale: _Scale) -> list[Markup]:
    estimate = growth.estimate
    if estimate is None:
        return []
    rows, score = growth.sizes[-1]
    here, there = (scale.x(rows), scale.y(score)), scale.x(2 * rows)
    ends = [_limited(score + value, scale) for value in (estimate.low, estimate.gain, estimate.high)]
    low, middle, high = (scale.y(end) for end in ends)
    return [
        Markup('<path class="band" d="M{} {}L{} {}V{}Z"/>').format(*here, there, low, high),
        Markup('<path class="foretold" d="M{} {}L{} {}"/>').format(*here, there, middle),
        Markup('<circle class="unseen" cx="{}" cy="{}" r="4"/>').format(there, middle),
    ]


def _limited(score: float, scale: _Scale) -> float:
    return min(max(score, scale.low), scale.high)


def _summary(growth: Growth) -> str:
    """`support: 61.3 with 40 rows, 70.2 with 80 rows; twice as many are expected to bring +2.0 (...)`."""
    seen = ", ".join(f"{points(mean)} with {rows:,} rows" for rows, mean in growth.sizes)
    estimate = growth.estimate
    if estimate is None:
        return f"{growth.suite}: {seen}."
    band = interval((estimate.low, estimate.high))
    return (
        f"{growth.suite}: {seen}; twice as many are expected to bring {signed_points(estimate.gain)} points, "
        f"80 % band {band}."
    )
