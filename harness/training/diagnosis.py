"""Did training overfit, stop too early, or settle? By rules that a noisy loss does not fool."""

import math
from dataclasses import replace
from typing import Literal

import numpy as np

from harness.records import record
from harness.training.curve_faults import MORE_VALIDATION, CurveFault, find_faults, measured
from harness.training.curves import TrainingCurve
from harness.training.trends import Floats, Trend, trend

DiagnosisWord = Literal["overfit", "underfit", "plateau", "unknown"]

FEWEST_POINTS = 12
"""With fewer measurements of the validation loss its trend is not judged."""
LEAST_CHANGE = 0.03
"""A change of the validation loss that matters, along its trend."""
RISE_ALPHA, FALL_ALPHA = 0.05, 0.03
"""One-sided errors of the two tests; together they leave at least nine plateaus in ten alone."""
ABOVE_BEST, ONE_RISE, ONE_FALL = 0.02, 0.05, 0.05
"""Of the whole validation file, whose noise is small: how far the end is above the best, one epoch's rise, one's fall."""
CLEARLY = 2.0
"""A change over epochs must be so many times what the loss went the other way in all: that is its noise."""
LONG = 5
"""From so many epochs on, the last two are looked at for a fall instead of the last one."""
MOST_EPOCHS = 12
"""More measurements of the whole file than this, without a number of epochs, are taken for a series."""
_NEAR = 0.25  # of an epoch: steps end within an epoch's last rows, and some trainers measure when they please
_SMALLEST_LOSS = 1e-5  # what five decimals can tell from zero
# A rise is found nine times in ten when it is so many standard errors long; Kendall's test needs a tenth more
# points than a straight line's t test (its efficiency under normal noise is 9/π²).
_SURE = 1.645 + 1.282
_EFFICIENCY = 9 / math.pi**2
_FEW = 3.0  # what few points cost on top, fitted to simulated series of 16 to 133 points


@record
class Diagnosis:
    """What the validation loss says about the number of epochs.

    Attributes:
        word: `overfit`: it rose again; `underfit`: it was still falling; `plateau`: neither can be shown;
            `unknown`: it was not measured often enough.
        saw: What was seen, in a sentence.
        remedy: What would make an unknown answer known; empty otherwise.
        faults: What is wrong with the curve itself.
        best_step: The step at which the loss of the whole validation file was lowest.
        change: How much the validation loss changed over the stretch that was judged, as a share of it.
        smallest_rise: The rise that would have been found nine times in ten, as a share; None for whole files.
        points: How many measurements of the validation loss there are.
        train_end: The training loss at the end, the median of the last third.
        valid_end: The validation loss at the end, the same, or that of the whole file.
    """

    word: DiagnosisWord
    saw: str
    remedy: str = ""
    faults: tuple[CurveFault, ...] = ()
    best_step: int | None = None
    change: float | None = None
    smallest_rise: float | None = None
    points: int = 0
    train_end: float | None = None
    valid_end: float | None = None


def diagnose(
    curve: TrainingCurve,
    *,
    epochs: int | None = None,
    answer_tokens: float | None = None,
    batch_size: int | None = None,
    closing_tokens: int | None = None,
) -> Diagnosis:
    """What a curve says about its number of epochs, and what is wrong with it.

    Of the loss of the whole validation file by epoch: overfit when the end is more than 2 % above the best, it rose after
    that twice in a row or once by more than 5 %, and by more than it wavers. Of the loss of single batches: after the
    first third, one-sided Kendall test and a Theil-Sen rise of more than 3 %, of log loss; underfit by the same in the
    last half, falling.

    Args:
        curve: What was measured.
        epochs: How many the job trained.
        answer_tokens: The mean length of an answer in tokens, for the accuracy without its closing tokens.
        batch_size: Answers a step.
        closing_tokens: How many tokens beyond an answer's own the accuracy counts, where the curve does not know.
    """
    faults = find_faults(
        curve, answer_tokens=answer_tokens, batch_size=batch_size, closing_tokens=closing_tokens
    )
    (full_at, full), (at, valid) = (measured(curve.steps, name) for name in ("full_valid_loss", "valid_loss"))
    known = Diagnosis(
        word="unknown",
        saw="",
        faults=faults,
        best_step=int(full_at[np.argmin(full)]) if len(full) else None,
        points=max(len(valid), len(full)),
        train_end=_end(measured(curve.steps, "train_loss")[1]),
        valid_end=float(full[-1]) if len(full) else _end(valid),
    )
    by_epoch = (
        _by_epoch(full_at, full, last=int(curve.steps["step"].max()), epochs=epochs) if len(full) else None
    )
    if by_epoch is not None:
        return _of_whole_file(*by_epoch, known)
    if len(full) > len(valid) or len(full) >= FEWEST_POINTS:
        at, valid = full_at, full
    return _of_batches(at, valid, known) if len(valid) >= FEWEST_POINTS else _unjudged(len(valid), known)


def _unjudged(points: int, known: Diagnosis) -> Diagnosis:
    times = {0: "was never measured", 1: "was measured once only"}.get(
        points, f"was measured only {points} times"
    )
    saw = f"the validation loss {times}; its trend needs {FEWEST_POINTS} measurements, or two of the whole validation file"
    return replace(known, saw=saw, remedy=MORE_VALIDATION)


# --- the whole file, by epoch --------------------------------------------------------------------------


def _by_epoch(at: Floats, loss: Floats, *, last: int, epochs: int | None) -> tuple[Floats, Floats] | None:
    """The measurement at the end of each epoch, or None where there are fewer than two, or too many to be of epochs."""
    if epochs is None:
        return (at, loss) if 2 <= len(at) <= MOST_EPOCHS else None
    passed = at * epochs / max(last, 1)
    nearest = [int(np.argmin(np.abs(passed - epoch))) for epoch in range(1, epochs + 1)]
    places = [place for epoch, place in enumerate(nearest, start=1) if abs(passed[place] - epoch) <= _NEAR]
    return (at[places], loss[places]) if len(places) >= 2 else None


def _of_whole_file(at: Floats, loss: Floats, known: Diagnosis) -> Diagnosis:
    values = np.log(np.maximum(loss, _SMALLEST_LOSS))
    place, steps = int(np.argmin(values)), np.diff(values)
    least = CLEARLY * _wrong_way(steps, place)
    above = math.expm1(values[-1] - values[place])
    known = replace(known, best_step=int(at[place]), points=len(loss))
    where = f"after epoch {place + 1} of {len(loss)} (step {at[place]:.0f})"
    since = steps[place:]
    has_risen = bool(((since[1:] > 0) & (since[:-1] > 0)).any() or (since > math.log1p(ONE_RISE)).any())
    if has_risen and above > ABOVE_BEST and math.log1p(above) > least:
        saw = f"the loss of the whole validation file was lowest {where}, {_loss(loss[place])}, and ended {_share(above)} above it"
        return replace(known, word="overfit", saw=saw, change=above)
    window = 2 if len(loss) >= LONG else 1
    fall = -math.expm1(values[-1] - values[-1 - window])
    if place == len(loss) - 1 and fall > max(ONE_FALL, least):
        late = "the last epoch" if window == 1 else f"the last {window} epochs"
        saw = f"the loss of the whole validation file still fell by {_share(fall)} in {late}, to {_loss(loss[-1])}"
        return replace(known, word="underfit", saw=saw, change=-fall)
    saw = f"the loss of the whole validation file settled: {_loss(loss[place])} at its lowest {where}, {_loss(loss[-1])} at the end"
    return replace(known, word="plateau", saw=saw, change=math.expm1(steps[-1]))


def _wrong_way(steps: Floats, place: int) -> float:
    """How far a series went against its course, in all: up before its lowest place, down after it."""
    return float(np.maximum(steps[:place], 0).sum() + np.maximum(-steps[place:], 0).sum())


# --- single batches, by step ---------------------------------------------------------------------------


def _of_batches(at: Floats, loss: Floats, known: Diagnosis) -> Diagnosis:
    values = np.log(np.maximum(loss, _SMALLEST_LOSS))
    third, half = len(values) // 3, len(values) // 2
    late, end = trend(at[third:], values[third:]), trend(at[half:], values[half:])
    known = replace(known, points=len(values), smallest_rise=_smallest_rise(late))
    rise, fall = math.expm1(late.change), -math.expm1(end.change)
    if late.rising < RISE_ALPHA and rise > LEAST_CHANGE:
        saw = (
            f"the validation loss rose by {_share(rise)} from step {at[third]:.0f} to {at[-1]:.0f}, over {late.points} "
            f"measurements: more than its noise explains (p {_chance(late.rising)})"
        )
        return replace(known, word="overfit", saw=saw, change=rise)
    if end.falling < FALL_ALPHA and fall > LEAST_CHANGE:
        saw = (
            f"the validation loss was still falling, by {_share(fall)} from step {at[half]:.0f} to {at[-1]:.0f}, over "
            f"{end.points} measurements (p {_chance(end.falling)})"
        )
        return replace(known, word="underfit", saw=saw, change=-fall)
    saw = (
        f"the validation loss shows no trend from step {at[third]:.0f} to {at[-1]:.0f}, about {_loss(_middle(loss[third:]))}; "
        f"its noise hides a rise below {_share(known.smallest_rise or 0.0)}"
    )
    return replace(known, word="plateau", saw=saw, change=rise)


def _smallest_rise(late: Trend) -> float:
    """The rise along so many points with this noise that the test would find nine times in ten."""
    error = late.noise * math.sqrt(12 / (late.points * _EFFICIENCY)) * (1 + _FEW / late.points)
    return max(LEAST_CHANGE, math.expm1(_SURE * error))


# --- words ---------------------------------------------------------------------------------------------


def _end(values: Floats) -> float | None:
    """The middle of the last third."""
    return _middle(values[-max(1, len(values) // 3) :]) if len(values) else None


def _middle(values: Floats) -> float:
    return float(np.median(values))


def _loss(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _share(value: float) -> str:
    """A change as a person says it: 4 %, 60 %, and from 200 % on as a multiple."""
    return f"{100 * value:.0f} %" if value < 2 else f"a factor of {1 + value:.1f}"


def _chance(p: float) -> str:
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"
