"""Intervals of differences as bars on a shared scale: geometry only, the template draws."""

import math
from collections.abc import Iterable, Sequence

from harness.records import record
from harness.report.notation import MINUS

WIDTH = 240.0
"""Width of a bar in SVG units."""
EDGE = 12.0
"""Room at both ends, so that a cap or a label at the edge is not cut."""
LEAST_SPAN = 0.1
"""A scale spans at least ten points, so that noise does not fill it."""
MOST_TICKS = 5
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@record
class Tick:
    """A labelled place on a scale."""

    x: float
    label: str


@record
class Bar:
    """One interval on a scale, in SVG units from the left; `margin` is the acceptable loss."""

    low: float
    high: float
    point: float
    zero: float
    margin: float | None


@record
class Scale:
    """From shares (a difference of scores) to SVG units."""

    low: float
    high: float

    def at(self, share: float) -> float:
        """Where a share stands, kept inside the drawing."""
        part = (share - self.low) / (self.high - self.low)
        return round(EDGE + min(1.0, max(0.0, part)) * (WIDTH - 2 * EDGE), 1)

    def ticks(self) -> tuple[Tick, ...]:
        """Round numbers of points across the scale, zero among them."""
        step = _nice_step((self.high - self.low) * 100 / (MOST_TICKS - 1))
        first, last = math.ceil(self.low * 100 / step), math.floor(self.high * 100 / step)
        values = [number * step for number in range(first, last + 1)]
        return tuple(Tick(x=self.at(value / 100), label=_tick_label(value)) for value in values)

    def bar(self, difference: float, bounds: tuple[float, float], *, margin: float | None) -> Bar:
        """An interval and its point on this scale."""
        return Bar(
            low=self.at(bounds[0]),
            high=self.at(bounds[1]),
            point=self.at(difference),
            zero=self.at(0),
            margin=None if margin is None else self.at(-margin),
        )


def scale(values: Iterable[float]) -> Scale:
    """A scale that holds all values and zero, with a little room."""
    held: Sequence[float] = [0.0, *(value for value in values if math.isfinite(value))]
    low, high = min(held), max(held)
    missing = max(0.0, LEAST_SPAN - (high - low)) / 2
    room = 0.04 * max(high - low, LEAST_SPAN)
    return Scale(low=low - missing - room, high=high + missing + room)


def _nice_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in _STEPS if step * power >= least * 0.999)


def _tick_label(points: float) -> str:
    if points == 0:
        return "0"
    return f"{'+' if points > 0 else MINUS}{abs(points):g}"
