from dataclasses import replace

import pytest

from harness.localserver.jobs.pace import Pace
from harness.localserver.state.objects import Hyperparameters, TrainingStep
from tests.localserver.jobs.test_attempts import JOB

AT_WORK = replace(JOB, hyperparameters=Hyperparameters(batch_size=4))


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def paced(clock: Clock, *steps: int, total: int, step_s: float) -> Pace:
    """A training whose steps took so long each, all heard of at once."""
    pace = Pace(AT_WORK, clock=clock)
    for taken, step in enumerate(steps):
        pace.note(TrainingStep(step=step, total_steps=total, seconds=7 + taken * step_s))
    return pace


@pytest.mark.parametrize("steps", [(), (1,)])
def test_nothing_is_known_before_two_steps(steps: tuple[int, ...]) -> None:
    assert paced(Clock(), *steps, total=10, step_s=2).seconds_left() is None


def test_only_the_steps_of_this_start_count() -> None:
    # It goes on from a state after step 50.
    assert paced(Clock(), 51, 52, 53, total=63, step_s=2).seconds_left() == 10 * 2


def test_time_that_passes_without_a_step_is_taken_off_but_never_below_nothing() -> None:
    clock = Clock()
    pace = paced(clock, 1, 2, total=5, step_s=2)
    clock.seconds += 1
    assert pace.seconds_left() == 3 * 2 - 1
    clock.seconds += 1000
    assert pace.seconds_left() == 0


def test_jobs_that_wait_are_done_after_the_one_at_work_and_those_before_them() -> None:
    pace = paced(Clock(), 1, 2, total=4, step_s=8)
    waiting = replace(JOB, examples=10, hyperparameters=Hyperparameters(n_epochs=2))
    assert pace.seconds_left([waiting]) == 2 * 8 + 20 * 2
    assert pace.seconds_left([waiting, waiting]) == 2 * 8 + 40 * 2
