"""A suite's scores over runs as small drawings: geometry only, the template draws."""

import math
from collections.abc import Sequence

from harness.records import Decision, record
from harness.report.facts import SuiteFacts
from harness.report.notation import date, points, signed_points
from harness.report.stored_facts import StoredRun

WIDTH, HEIGHT, EDGE = 320.0, 84.0, 8.0
"""SVG units; the edge keeps marks whole."""
MOST_RUNS = 60
"""More marks than that run into each other; the newest are drawn."""
LEAST_SPAN = 0.2
"""A scale spans at least twenty points, so that noise does not fill it."""


@record
class Mark:
    """One run's score: where it stands, what was decided, and the words of it; `folder` is empty where it has no page."""

    x: float
    y: float
    decision: Decision
    is_promoted: bool
    says: str
    folder: str = ""


@record
class Trend:
    """One suite over runs, the oldest on the left. A line breaks where the suite became another one.

    `lines` and `reference_lines` are points as SVG writes them; `low` and `high` are the ends of the scale in points.
    """

    suite: str
    role: str
    runs: int
    last: str
    marks: tuple[Mark, ...]
    lines: tuple[str, ...]
    reference_lines: tuple[str, ...]
    low: str
    high: str
    says: str


@record
class _Point:
    """One run of the suite: its scores in 0..1."""

    run: StoredRun
    suite: SuiteFacts
    candidate: float
    reference: float | None


def trends_of(runs: Sequence[StoredRun]) -> tuple[Trend, ...]:
    """The suites of two runs or more, in the order in which the newest runs have them.

    Args:
        runs: Stored runs, the newest first.
    """
    found: dict[str, list[_Point]] = {}
    for run in runs:
        facts = run.facts
        if facts is None or not run.is_decided:
            continue
        for suite in facts.suites:
            if suite.candidate is not None and math.isfinite(suite.candidate):
                reference = suite.promoted if facts.reference == "promoted" else suite.base
                point = _Point(run=run, suite=suite, candidate=suite.candidate, reference=reference)
                found.setdefault(suite.name, []).append(point)
    return tuple(
        _trend(name, known[:MOST_RUNS][::-1], runs=len(known))
        for name, known in found.items()
        if len(known) > 1
    )


def _trend(name: str, known: Sequence[_Point], *, runs: int) -> Trend:
    seen = [score for point in known for score in (point.candidate, point.reference) if score is not None]
    low, high = _ends(seen)
    step = (WIDTH - 2 * EDGE) / (len(known) - 1)

    def at(number: int, score: float) -> tuple[float, float]:
        part = (min(high, max(low, score)) - low) / (high - low)
        return round(EDGE + number * step, 1), round(HEIGHT - EDGE - part * (HEIGHT - 2 * EDGE), 1)

    first, last = known[0], known[-1]
    return Trend(
        suite=name,
        role=last.suite.role,
        runs=runs,
        last=points(last.candidate),
        marks=tuple(_mark(point, at(number, point.candidate)) for number, point in enumerate(known)),
        lines=_lines(known, [at(number, point.candidate) for number, point in enumerate(known)]),
        reference_lines=_lines(
            known,
            [
                None if point.reference is None else at(number, point.reference)
                for number, point in enumerate(known)
            ],
        ),
        low=f"{low * 100:.0f}",
        high=f"{high * 100:.0f}",
        says=f"{name} over {len(known)} runs: from {points(first.candidate)} to {points(last.candidate)}",
    )


def _ends(scores: Sequence[float]) -> tuple[float, float]:
    """The ends of a scale in tens of points that holds all scores, inside 0..1 where the scores are."""
    low = math.floor(min(scores) * 10) / 10
    high = math.ceil(max(scores) * 10) / 10
    missing = max(0.0, LEAST_SPAN - (high - low))
    high = min(max(1.0, high), high + missing)
    return min(low, max(0.0, high - LEAST_SPAN)), high


def _lines(known: Sequence[_Point], places: Sequence[tuple[float, float] | None]) -> tuple[str, ...]:
    """Polylines of two places or more; another digest, or a missing score, ends one."""
    lines: list[list[str]] = [[]]
    digest = ""
    for point, place in zip(known, places, strict=True):
        if place is None or point.suite.digest != digest:
            lines.append([])
        digest = point.suite.digest
        if place is not None:
            lines[-1].append(f"{place[0]:g},{place[1]:g}")
    return tuple(" ".join(line) for line in lines if len(line) > 1)


def _mark(point: _Point, place: tuple[float, float]) -> Mark:
    facts = point.run.facts
    gained = "" if point.suite.difference is None else f" ({signed_points(point.suite.difference)})"
    model = "" if facts is None else next((one.model for one in facts.models if one.role == "candidate"), "")
    when = "" if facts is None else date(facts.created)
    return Mark(
        x=place[0],
        y=place[1],
        decision=point.suite.decision,
        is_promoted=point.run.is_promoted,
        says=f"{when}, {model}: {points(point.candidate)}{gained}",
        folder=point.run.folder if point.run.has_page else "",
    )
