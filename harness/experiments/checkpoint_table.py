"""A study of checkpoints as lines for a terminal: loss and suites by step, and which checkpoint to take."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.records import CheckpointChoice, CheckpointStudy, Json, SuiteMark, record
from harness.serial import to_plain

if TYPE_CHECKING:
    from harness.training import TrainingCurve

NOT_KNOWN = "-"
NOTHING_CHOSEN = "no checkpoint is chosen: suites of the roles target, guard and critical choose, by cases that were scored"


@record
class Losses:
    """A training's losses where a checkpoint was made; None where they were not measured.

    `train` is the mean over the steps since the checkpoint before. `valid` is of the whole validation file where that
    was measured, else the mean of the partial ones since then.
    """

    train: float | None
    valid: float | None


def losses_at(steps: Sequence[int], curve: "TrainingCurve | None") -> tuple[Losses, ...]:
    """The losses at each of some steps, which are in order."""
    if curve is None:
        return tuple(Losses(train=None, valid=None) for _ in steps)
    starts = (-1, *steps)
    return tuple(_between(start, step, curve) for start, step in zip(starts, steps, strict=False))


def _between(start: int, step: int, curve: "TrainingCurve") -> Losses:
    rows = curve.steps[(curve.steps["step"] > start) & (curve.steps["step"] <= step)]
    whole = rows["full_valid_loss"].dropna()
    valid = float(whole.iloc[-1]) if len(whole) else _known(float(rows["valid_loss"].mean()))
    return Losses(train=_known(float(rows["train_loss"].mean())), valid=valid)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def study_lines(study: CheckpointStudy, curve: "TrainingCurve | None") -> list[str]:
    """The table and the choice; the suites' scores in percent with their 90 % intervals."""
    losses = losses_at([point.step for point in study.checkpoints], curve)
    names = list(dict.fromkeys(mark.suite for point in study.checkpoints for mark in point.marks))
    rows = [["step", "epoch", "train loss", "valid loss", *names]]
    for point, loss in zip(study.checkpoints, losses, strict=True):
        marks = {mark.suite: mark for mark in point.marks}
        cells = [
            str(point.step),
            _number(point.epoch, "g"),
            _number(loss.train, ".3f"),
            _number(loss.valid, ".3f"),
        ]
        rows.append([*cells, *(_mark(marks.get(name)) for name in names)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [*lines, *(choice_lines(study.choice) if study.choice is not None else (NOTHING_CHOSEN,))]


def choice_lines(choice: CheckpointChoice) -> Iterator[str]:
    """Which checkpoint to take and why, and what it scores where the choice did not look."""
    own = ", the job's own model" if choice.is_last else ""
    yield f"take step {choice.step}, {choice.model}{own}: {choice.why}"
    if choice.on == "nothing":
        return
    yield f"tested again on {choice.on}, where being chosen flatters no score:"
    last = {mark.suite: mark for mark in choice.last}
    for mark in choice.fresh:
        against = (
            ""
            if choice.is_last or not choice.last
            else f"; the job's own model there {_mark(last.get(mark.suite))}"
        )
        yield f"  {mark.suite} {_mark(mark)}{against}"


def study_data(study: CheckpointStudy, curve: "TrainingCurve | None") -> dict[str, Json]:
    """The study for programs: as it is stored, with the losses at each checkpoint."""
    losses = losses_at([point.step for point in study.checkpoints], curve)
    plain: dict[str, Json] = to_plain(study)
    points = to_plain(study.checkpoints)
    for point, loss in zip(points, losses, strict=True):
        point |= {"train_loss": loss.train, "valid_loss": loss.valid}
    return {**plain, "checkpoints": points}


def _number(value: float | None, form: str) -> str:
    return NOT_KNOWN if value is None else format(value, form)


def _mark(mark: SuiteMark | None) -> str:
    if mark is None or mark.mean is None or mark.low is None or mark.high is None:
        return NOT_KNOWN
    unscored = f", {mark.unscored} unscored" if mark.unscored else ""
    return f"{mark.mean * 100:.1f} % ({mark.low * 100:.0f} to {mark.high * 100:.0f}{unscored})"
