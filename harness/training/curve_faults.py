"""What is wrong with a training curve, so that nobody reads into it what it does not say."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.records import record
from harness.training.closing_tokens import AnswerLength, corrected_accuracy, inferred_length
from harness.training.curves import REPEATED, TrainingCurve
from harness.training.trends import SIGMA_OF_MAD, Floats

FaultKind = Literal[
    "not a number",
    "no validation",
    "accuracy contradicts loss",
    "accuracy counts closing tokens",
    "memorised",
    "validation unlike training",
    "loss spikes",
    "gap",
    "repeated steps",
]

MORE_VALIDATION = "give the job a validation file of 50 rows"

LEAST_LOSS_OF_AN_ERROR = math.log(2)
"""A token that another one beats has a probability of at most 1/2, so its loss is at least ln 2."""
CONTRADICTION = 0.02
"""Accuracies so far below what their loss allows are contradicted: losses and accuracies are rounded, and batches weighted."""
MEMORISED_LOSS, MEMORISED_SHARE = 0.1, 0.5
"""A training loss below the one for more than the other of the steps; measured over validation by as much again."""
NEAR_ZERO_LOSS = 0.01
UNLIKE, UNLIKE_POINTS = 0.5, 3
"""Validation below so much of the training loss at the start, over at least so many measurements of each."""
START_SHARE = 0.1
GAP = 2
"""A gap is more than so many times the usual distance of two measured steps."""
SPIKE_DEVIATIONS, SPIKE_FACTOR, SPIKE_REACH, SPIKE_POINTS = 8.0, 2.0, 12, 20
"""A spike is so many deviations and so many times above its neighbours, of which so many on either side; in a series of
at least so many. Measured with normal and with heavy-tailed noise by benchmarks/diagnosis.py."""
END_SHARE = 0.1
MOST_NAMED, MOST_MARKED = 6, 40


@record
class CurveFault:
    """One fault of a curve.

    Attributes:
        kind: What it is, for machines and for titles.
        says: What was seen, in a sentence.
        remedy: What to do about it.
        from_step: Where it begins; None where it is of the whole curve.
        to_step: Where it ends.
        column: The measure it is about; empty where it is about several.
        steps: The single steps it is about, where they are few and apart; of a gap, the first and last of each.
        corrected: What the measure is at the end without the fault, where that can be told, in 0..1.
    """

    kind: FaultKind
    says: str
    remedy: str
    from_step: int | None = None
    to_step: int | None = None
    column: str = ""
    steps: tuple[int, ...] = ()
    corrected: float | None = None


def find_faults(
    curve: TrainingCurve,
    *,
    answer_tokens: float | None = None,
    batch_size: int | None = None,
    closing_tokens: int | None = None,
) -> tuple[CurveFault, ...]:
    """The faults of a curve, the gravest first.

    Args:
        curve: What was measured.
        answer_tokens: The mean length of an answer that is learned; guessed from the accuracies where that works.
        batch_size: Answers a step.
        closing_tokens: How many tokens beyond an answer's own the accuracy counts, where the curve does not know.
    """
    length = AnswerLength(
        tokens=answer_tokens,
        batch_size=batch_size,
        closing=curve.closing_tokens if closing_tokens is None else closing_tokens,
    )
    found = (
        _not_numbers(curve),
        _contradictions(curve.steps),
        _missing_validation(curve.steps),
        _memorised(curve.steps),
        _unlike(curve.steps),
        _closing_tokens(curve, length),
        _spikes(curve.steps),
        _gaps(curve),
        _repeats(curve),
    )
    return tuple(fault for faults in found for fault in faults)


def measured(steps: pd.DataFrame, column: str) -> tuple[Floats, Floats]:
    """The steps at which a column was measured, and its finite values there."""
    values = steps[column].to_numpy(dtype=float)
    is_measured = np.isfinite(values)
    return steps["step"].to_numpy(dtype=float)[is_measured], values[is_measured]


# --- numbers that are none -----------------------------------------------------------------------------


def _not_numbers(curve: TrainingCurve) -> Iterator[CurveFault]:
    for column, word in _WORDS.items():
        values = curve.steps[column].to_numpy(dtype=float)
        infinite = curve.steps["step"].to_numpy()[np.isinf(values)]
        broken = sorted({*curve.not_numbers.get(column, ()), *(int(step) for step in infinite)})
        if not broken:
            continue
        at, _ = measured(curve.steps, column)
        is_lost = not (at > broken[0]).any()
        remedy = "lower the learning rate multiplier" if is_lost else "look at the rows of these steps"
        yield CurveFault(
            kind="not a number",
            says=f"{word} is not a number {_at(broken)}"
            + (", to the end: training diverged" if is_lost else ""),
            remedy=remedy,
            from_step=broken[0],
            to_step=broken[-1],
            column=column,
            steps=tuple(broken) if len(broken) <= MOST_MARKED else (),
        )


# --- accuracy against loss -----------------------------------------------------------------------------


def _contradictions(steps: pd.DataFrame) -> Iterator[CurveFault]:
    """A share of 1 - a of the tokens is wrong, each costs ln 2 at least: the loss is at least (1 - a) ln 2."""
    for column in ("full_valid_accuracy", "valid_accuracy", "train_accuracy"):
        loss = steps[column.replace("accuracy", "loss")].to_numpy(dtype=float)
        accuracy = steps[column].to_numpy(dtype=float)
        least = 1 - loss / LEAST_LOSS_OF_AN_ERROR
        places = np.flatnonzero(accuracy < least - CONTRADICTION)
        both = int((np.isfinite(loss) & np.isfinite(accuracy)).sum())
        if not len(places):
            continue
        worst = places[np.argmax(least[places] - accuracy[places])]
        at = steps["step"].to_numpy()
        yield CurveFault(
            kind="accuracy contradicts loss",
            says=f"{_WORDS[column]} contradicts the loss at {len(places)} of {both} measured steps: at step {at[worst]} it is "
            f"{accuracy[worst]:.2f}, while a loss of {loss[worst]:.3f} means at least {least[worst]:.2f}",
            remedy="do not read this accuracy, read the loss; OpenAI's jobs before February 2024 wrote it wrong",
            from_step=int(at[places[0]]),
            to_step=int(at[places[-1]]),
            column=column,
        )


def _closing_tokens(curve: TrainingCurve, length: AnswerLength) -> Iterator[CurveFault]:
    if not length.closing:
        return
    shown = next(
        (
            name
            for name in ("full_valid_accuracy", "valid_accuracy", "train_accuracy")
            if len(measured(curve.steps, name)[0])
        ),
        None,
    )
    if shown is None:
        return
    _, values = measured(curve.steps, shown)
    last = float(values[-1]) if shown.startswith("full") else float(np.median(_end(values)))
    tokens = length.tokens or inferred_length(curve, batch_size=length.batch_size, closing=length.closing)
    counted = (
        f"{_WORDS[shown]} counts {length.closing} more tokens with each answer, which are nearly always right"
    )
    remedy = "compare it with itself only, never with other tasks; judge by the suites"
    if tokens is None:
        examples = ", ".join(
            f"{100 * corrected_accuracy(last, answer_tokens=size, closing=length.closing):.0f} % with answers of {size}"
            for size in (2, 5, 20)
            if last * (size + length.closing) >= length.closing
        )
        if last < 1 and examples:
            yield CurveFault(
                kind="accuracy counts closing tokens",
                says=f"{counted}: {100 * last:.0f} % at the end is {examples} tokens",
                remedy=remedy,
                column=shown,
            )
        return
    corrected = corrected_accuracy(last, answer_tokens=tokens, closing=length.closing)
    if last - corrected >= 0.01:
        source = "" if length.tokens else " (told from the accuracies themselves)"
        yield CurveFault(
            kind="accuracy counts closing tokens",
            says=f"{counted}: {100 * last:.1f} % at the end is {100 * corrected:.1f} % of the answers' own tokens, "
            f"{tokens:.1f} an answer{source}",
            remedy=remedy,
            column=shown,
            corrected=corrected,
        )


# --- validation ----------------------------------------------------------------------------------------


def _missing_validation(steps: pd.DataFrame) -> Iterator[CurveFault]:
    if len(steps) and not any(len(measured(steps, name)[0]) for name in ("valid_loss", "full_valid_loss")):
        yield CurveFault(
            kind="no validation",
            says="no validation loss was measured, so nothing here tells learning from learning by heart",
            remedy=MORE_VALIDATION,
        )


def _memorised(steps: pd.DataFrame) -> Iterator[CurveFault]:
    at, loss = measured(steps, "train_loss")
    is_low = loss < MEMORISED_LOSS
    if len(loss) < SPIKE_POINTS or is_low.mean() <= MEMORISED_SHARE:
        return
    valid = _last_validation(steps)
    if valid is not None and valid < MEMORISED_LOSS:
        return  # as good on rows it never saw: learned, not learned by heart
    known = (
        "and without validation nothing shows whether it learned more than these rows"
        if valid is None
        else f"while the validation loss ends at {valid:.2f}"
    )
    yield CurveFault(
        kind="memorised",
        says=f"training loss is below {MEMORISED_LOSS:g} at {int(is_low.sum())} of {len(loss)} steps, {known}: "
        "the rows are known by heart",
        remedy="train fewer epochs or take an earlier checkpoint, and check that no row with private text is repeated",
        from_step=int(at[_settled(is_low)]),
        to_step=int(at[-1]),
        column="train_loss",
    )


def _last_validation(steps: pd.DataFrame) -> float | None:
    """The validation loss at the end: of the whole file, or the median of the last third of single batches."""
    _, full = measured(steps, "full_valid_loss")
    if len(full):
        return float(full[-1])
    _, valid = measured(steps, "valid_loss")
    return float(np.median(valid[-(-2 * len(valid) // 3) :])) if len(valid) > 2 else None


def _settled(is_low: npt.NDArray[np.bool_]) -> int:
    """The first place from which on nine in ten are low."""
    low = is_low[::-1].astype(float)
    shares = (np.cumsum(low) / np.arange(1, len(low) + 1))[::-1]
    return int(np.argmax((shares >= 0.9) & is_low))


def _unlike(steps: pd.DataFrame) -> Iterator[CurveFault]:
    """Before much is learned, rows of one kind cost the same whether they are trained on or not."""
    if not len(steps):
        return
    first, last = int(steps["step"].iloc[0]), int(steps["step"].iloc[-1])
    until = first + START_SHARE * (last - first)
    (train_at, train), (valid_at, valid) = measured(steps, "train_loss"), measured(steps, "valid_loss")
    train = train[train_at <= max(until, first + UNLIKE_POINTS)]
    places = np.flatnonzero(valid_at <= max(until, first + UNLIKE_POINTS))
    if len(places) < UNLIKE_POINTS or len(train) < UNLIKE_POINTS:
        return
    ours, theirs = float(np.median(valid[places])), float(np.median(train))
    if ours >= UNLIKE * theirs or valid[places].max() >= train.min():
        return
    yield CurveFault(
        kind="validation unlike training",
        says=f"validation loss starts at {ours:.2f}, training loss at {theirs:.2f}: the validation rows are easier, or known already",
        remedy="look for training rows in the validation file: harness data check --valid",
        from_step=first,
        to_step=int(valid_at[places[-1]]),
        column="valid_loss",
    )


# --- steps ---------------------------------------------------------------------------------------------


def _spikes(steps: pd.DataFrame) -> Iterator[CurveFault]:
    for column in ("train_loss", "valid_loss"):
        at, loss = measured(steps, column)
        spikes = [int(step) for step in at[spike_places(loss)]]
        if not spikes:
            continue
        apart = {later - earlier for earlier, later in pairwise(spikes)}
        is_regular = len(spikes) > 2 and len(apart) == 1
        often = f", every {apart.pop()} steps: likely the same row each time" if is_regular else ""
        yield CurveFault(
            kind="loss spikes",
            says=f"{_WORDS[column]} jumps far above its neighbours {_at(spikes)}{often}",
            remedy="look at the rows of these steps: cut off, empty, or in another format",
            from_step=spikes[0],
            to_step=spikes[-1],
            column=column,
            steps=tuple(spikes) if len(spikes) <= MOST_MARKED else (),
        )


def spike_places(loss: Floats) -> npt.NDArray[np.intp]:
    """Where a series of losses (points,) stands far above the median around it, by its own spread."""
    if len(loss) < SPIKE_POINTS:
        return np.array([], dtype=np.intp)
    values = np.log(np.maximum(loss, NEAR_ZERO_LOSS))
    padded = np.pad(values, SPIKE_REACH, mode="reflect")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * SPIKE_REACH + 1), axis=1)
    deviation = SIGMA_OF_MAD * float(np.median(np.abs(values - middle)))
    limit = max(SPIKE_DEVIATIONS * deviation, math.log(SPIKE_FACTOR))
    return np.flatnonzero(values - middle > limit)


def _gaps(curve: TrainingCurve) -> Iterator[CurveFault]:
    at = curve.steps["step"].to_numpy()
    if len(at) < 3:
        return
    apart = np.diff(at)
    usual = max(1, int(np.median(apart)))
    places = np.flatnonzero(apart > GAP * usual)
    spans = [(int(at[place]), int(at[place + 1])) for place in places]
    if at[0] > 1 + GAP * usual:
        spans.insert(0, (0, int(at[0])))
    total = _total_steps(curve)
    if total is not None and total - at[-1] > GAP * usual:
        spans.append((int(at[-1]), total))
    if not spans:
        return
    named = ", ".join(f"{start} and {end}" for start, end in spans[:MOST_NAMED])
    more = f" and {len(spans) - MOST_NAMED} more" if len(spans) > MOST_NAMED else ""
    yield CurveFault(
        kind="gap",
        says=f"nothing is known between steps {named}{more}",
        remedy="fetch the result file again, once the job has ended",
        from_step=spans[0][0],
        to_step=spans[-1][1],
        steps=tuple(step for span in spans[:MOST_MARKED] for step in span),
    )


def _total_steps(curve: TrainingCurve) -> int | None:
    """How many steps the provider announced, where it did."""
    if "total_steps" not in curve.extras:
        return None
    told = pd.to_numeric(curve.extras["total_steps"], errors="coerce").dropna()
    return int(told.iloc[-1]) if len(told) and math.isfinite(told.iloc[-1]) else None


def _repeats(curve: TrainingCurve) -> Iterator[CurveFault]:
    if REPEATED not in curve.extras:
        return
    steps = [int(step) for step in curve.extras.loc[curve.extras[REPEATED].notna(), "step"]]
    if steps:
        yield CurveFault(
            kind="repeated steps",
            says=f"measured more than once, with other values, {_at(steps)}; the last is shown",
            remedy="training was taken up again, or two runs are in one file: keep one",
            from_step=steps[0],
            to_step=steps[-1],
        )


# --- words ---------------------------------------------------------------------------------------------

_WORDS = {
    "train_loss": "training loss",
    "valid_loss": "validation loss",
    "full_valid_loss": "full validation loss",
    "train_accuracy": "training accuracy",
    "valid_accuracy": "validation accuracy",
    "full_valid_accuracy": "full validation accuracy",
}


def _end(values: Floats) -> Floats:
    return values[-max(1, math.ceil(END_SHARE * len(values))) :]


def _at(steps: Sequence[int]) -> str:
    if len(steps) == 1:
        return f"at step {steps[0]}"
    if len(steps) <= MOST_NAMED:
        return f"at steps {', '.join(map(str, steps[:-1]))} and {steps[-1]}"
    return f"at {len(steps)} steps from {steps[0]} to {steps[-1]}"
