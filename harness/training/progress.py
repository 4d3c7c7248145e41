"""Where a job stands, told from its events: pure, so that following a job is only asking and waiting."""

from collections.abc import Mapping, Sequence

from harness.records import Json, record
from harness.serial import finite_number
from harness.training.requests import JobProgress


@record
class JobEvent:
    """One event of a job; `metrics` is its data when it is a metrics event, else None."""

    id: str
    created_at: int
    message: str
    level: str = "info"
    metrics: Mapping[str, Json] | None = None


def told(events: Sequence[JobEvent], *, status: str) -> list[JobProgress]:
    """What the events say in words, oldest first."""
    words = [event for event in events if event.metrics is None and event.message]
    return [JobProgress(status=status, message=event.message) for event in words]


def measured(
    events: Sequence[JobEvent], *, status: str, now: float, finish: float | None = None
) -> JobProgress | None:
    """Where the job stands by all its metrics events, or None while there are none.

    Args:
        events: All events so far, oldest first.
        status: The job's status.
        now: Unix time in seconds.
        finish: When the provider expects the end, in Unix seconds; None or 0 when it does not say. One that
            has passed is no longer believed.
    """
    metrics = [event for event in events if event.metrics is not None]
    if not metrics:
        return None
    step, total = _latest(metrics, "step"), _latest(metrics, "total_steps")
    return JobProgress(
        status=status,
        step=None if step is None else int(step),
        total_steps=None if total is None else int(total),
        train_loss=_latest(metrics, "train_loss"),
        valid_loss=_latest(metrics, "valid_loss"),
        seconds_left=finish - now if finish and finish > now else _seconds_left(metrics, total),
    )


def _seconds_left(metrics: Sequence[JobEvent], total: float | None) -> float | None:
    """The steps that are left at the pace so far; an estimate from two events is not one."""
    first, last = metrics[0], metrics[-1]
    steps = (_value(last, "step") or 0.0) - (_value(first, "step") or 0.0)
    seconds = last.created_at - first.created_at
    if total is None or steps <= 0 or seconds <= 0 or len(metrics) < 3:
        return None
    return max(0.0, total - (_value(last, "step") or 0.0)) * seconds / steps


def _latest(metrics: Sequence[JobEvent], name: str) -> float | None:
    found = (_value(event, name) for event in reversed(metrics))
    return next((value for value in found if value is not None), None)


def _value(event: JobEvent, name: str) -> float | None:
    return finite_number((event.metrics or {}).get(name))
