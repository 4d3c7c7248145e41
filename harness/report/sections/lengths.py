"""How long are the answers? A histogram for each model on one scale, with the limits that a `length` scorer sets."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from harness.records import Completion, Result, Role, ScorerSpec, Suite, record
from harness.report.material import ROLE_WORDS
from harness.report.notation import count, fixed

SCORER = "length"
MEASURE = "length"
WIDTH, LANE = 420.0, 46.0
"""SVG units: of the drawing, and of one model's part in its height."""
LEFT, RIGHT, AXIS = 78.0, 14.0, 18.0
MOST_BARS = 24
FEWEST = 3
"""Of fewer answers nothing is spread."""
TAIL = 0.975
"""Longer answers than this share's are drawn as one bar at the end, or a few of them would squeeze all others."""
LONG_TAIL = 1.6
"""They are only where the longest is so many times as long."""


@record
class LengthBar:
    """Answers of about one length; it stands on the lane's ground."""

    x: float
    width: float
    height: int
    answers: int


@record
class Lane:
    """One model's answers: its bars, its median, and the same in words. `base` is where its ground is."""

    role: Role
    word: str
    base: float
    bars: tuple[LengthBar, ...]
    middle: float
    says: str

    @property
    def outline(self) -> str:
        """All bars as one path of strokes: hundreds of elements would weigh more than the answers they count."""
        return "".join(f"M{bar.x + bar.width / 2:.1f} {self.base:g}v-{bar.height}" for bar in self.bars)


@record
class Mark:
    """A labelled place on the scale."""

    x: float
    label: str


@record
class LengthsView:
    """The drawing in SVG units. `allowed` is the band within the limits, its left end and its width."""

    unit: str
    lanes: tuple[Lane, ...]
    ticks: tuple[Mark, ...]
    limits: tuple[Mark, ...]
    allowed: tuple[float, float] | None
    width: float
    height: float
    brief: str
    is_judged: bool


@record
class _Scale:
    """Lengths in bins of one width; the last bin holds whatever is longer."""

    first: int
    step: int
    bins: int
    has_tail: bool

    def bin(self, length: float) -> int:
        return max(0, min(self.bins - 1, int((length - self.first) // self.step)))

    def at(self, length: float) -> float:
        share = min(1.0, max(0.0, (length - self.first) / (self.step * self.bins)))
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def lengths_of(suite: Suite, rows: Mapping[Role, Sequence[Result]]) -> tuple[LengthsView, ...]:
    """A view for each `length` scorer of a suite; without one, of the characters of the answers.

    Args:
        suite: The suite.
        rows: Its rows by role, in the order of the page.
    """
    judged = [spec for spec in suite.scorers if spec.type == SCORER]
    views = [
        _view(spec, {role: _measured(found, spec.name) for role, found in rows.items()}) for spec in judged
    ]
    if not judged:
        views = [_view(None, {role: _characters(found) for role, found in rows.items()})]
    return tuple(view for view in views if view is not None)


def _measured(rows: Sequence[Result], scorer: str) -> list[float]:
    scores = (row.scores.get(scorer) for row in rows)
    lengths = (score.measures.get(MEASURE) for score in scores if score is not None)
    return sorted(length for length in lengths if length is not None and math.isfinite(length))


def _characters(rows: Sequence[Result]) -> list[float]:
    return sorted(float(len(row.outcome.text.strip())) for row in rows if isinstance(row.outcome, Completion))


def _view(spec: ScorerSpec | None, lengths: Mapping[Role, Sequence[float]]) -> LengthsView | None:
    lengths = {role: found for role, found in lengths.items() if len(found) >= FEWEST}
    if not lengths:
        return None
    unit = str(spec.settings.get("unit", "")) if spec else "characters"
    low, high = (_limit(spec, name) for name in ("at_least", "at_most"))
    scale = _scale(lengths, [limit for limit in (low, high) if limit is not None])
    most = max(max(_counts(found, scale)) / len(found) for found in lengths.values())
    lanes = [
        _lane(role, found, scale, most=most, number=number, limits=(low, high))
        for number, (role, found) in enumerate(lengths.items())
    ]
    return LengthsView(
        unit=unit,
        lanes=tuple(lanes),
        ticks=tuple(_ticks(scale)),
        limits=tuple(
            Mark(x=scale.at(limit), label=f"{word} {count(limit)}")
            for word, limit in (("from", low), ("to", high))
            if limit is not None
        ),
        allowed=_band(scale, low, high),
        width=WIDTH,
        height=LANE * len(lanes) + AXIS,
        brief=", ".join(
            f"{ROLE_WORDS[role].lower()} {_length(median(found))}" for role, found in lengths.items()
        ),
        is_judged=spec is not None,
    )


def _limit(spec: ScorerSpec | None, name: str) -> int | None:
    value = spec.settings.get(name) if spec else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _scale(lengths: Mapping[Role, Sequence[float]], limits: Sequence[int]) -> _Scale:
    pooled = sorted(length for found in lengths.values() for length in found)
    # A limit just inside the drawing is seen; one far outside would squeeze the answers.
    near = [limit for limit in limits if limit <= 2 * pooled[-1] + 1]
    first = int(min(pooled[0], *near, pooled[0]))
    last = max(pooled[-1], *near, pooled[-1])
    usual = max([pooled[math.ceil(TAIL * len(pooled)) - 1], *near])
    has_tail = last > LONG_TAIL * usual > 0
    end = usual if has_tail else last
    step = _nice(math.ceil((end - first + 1) / MOST_BARS))
    first -= first % step
    bins = int((end - first) // step) + 1 + has_tail
    return _Scale(first=first, step=step, bins=bins, has_tail=has_tail)


def _nice(least: int) -> int:
    """1, 2 or 5 times a power of ten, at least as large."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= least:
                return step * power
        power *= 10


def _counts(lengths: Sequence[float], scale: _Scale) -> list[int]:
    counts = [0] * scale.bins
    for length in lengths:
        counts[scale.bin(length)] += 1
    return counts


def _lane(
    role: Role,
    lengths: Sequence[float],
    scale: _Scale,
    *,
    most: float,
    number: int,
    limits: tuple[int | None, int | None],
) -> Lane:
    base = LANE * (number + 1)
    return Lane(
        role=role,
        word=ROLE_WORDS[role],
        base=base,
        bars=tuple(_bars(lengths, scale, most=most)),
        middle=scale.at(median(lengths)),
        says=_sentence(lengths, limits),
    )


def _bars(lengths: Sequence[float], scale: _Scale, *, most: float) -> Iterator[LengthBar]:
    width = (WIDTH - LEFT - RIGHT) / scale.bins
    for place, found in enumerate(_counts(lengths, scale)):
        if found:
            yield LengthBar(
                x=round(LEFT + place * width + 0.5, 1),
                width=round(max(1.0, width - 1), 1),
                # The fewest are still seen.
                height=max(2, round((LANE - 12) * found / len(lengths) / most)),
                answers=found,
            )


def _sentence(lengths: Sequence[float], limits: tuple[int | None, int | None]) -> str:
    """`median 22, most from 9 to 41; 58 of 60 within the limits`."""
    low, high = limits
    told = f"median {_length(median(lengths))}"
    if len(lengths) >= 10:
        low_end, high_end = (lengths[math.ceil(share * len(lengths)) - 1] for share in (0.1, 0.9))
        told += f", eight of ten from {_length(low_end)} to {_length(high_end)}"
    if low is None and high is None:
        return told
    kept = sum((low is None or length >= low) and (high is None or length <= high) for length in lengths)
    return f"{told}; {count(kept)} of {count(len(lengths))} within the limits"


def _length(value: float) -> str:
    """A whole number; the middle of two may be half of one."""
    return fixed(value, 0 if value == int(value) else 1)


def _band(scale: _Scale, low: int | None, high: int | None) -> tuple[float, float] | None:
    if low is None and high is None:
        return None
    start = LEFT if low is None else scale.at(low)
    end = WIDTH - RIGHT if high is None else scale.at(high + 1)
    return start, round(max(0.0, end - start), 1)


def _ticks(scale: _Scale) -> Iterator[Mark]:
    step = _nice(math.ceil(scale.bins * scale.step / 5))
    end = scale.first + scale.bins * scale.step
    start = scale.first + -scale.first % step
    tail = end - scale.step if scale.has_tail else end + 1
    for length in range(start, end + 1, step):
        if length < tail - step / 3:
            yield Mark(x=scale.at(length), label=count(length))
    if scale.has_tail:
        yield Mark(x=scale.at(tail), label=f"{count(tail)} +")
