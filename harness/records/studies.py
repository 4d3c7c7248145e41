"""What training studies say: a job's checkpoints on the suites, arms on shares of the data, and advice."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from harness.records.form import record

DoublingWord = Literal["likely helps", "cannot tell", "unlikely"]


@record
class SuiteMark:
    """How one model did on one suite: its mean score in 0..1 with the two-sided 90 % interval, over scored cases.

    The numbers are None where no case was scored. `unscored` counts the other cases.
    """

    suite: str
    mean: float | None
    low: float | None = None
    high: float | None = None
    cases: int = 0
    unscored: int = 0


@record
class CheckpointMarks:
    """One checkpoint of a job, asked the suites; the last one is the job's model itself."""

    step: int
    model: str
    epoch: float | None = None
    marks: tuple[SuiteMark, ...] = ()


@record
class CheckpointChoice:
    """The checkpoint that the suites prefer, and how it does where the choice did not look.

    `fresh` are its marks on trials or cases that took no part in choosing, so that choosing does not flatter them;
    `on` says which, and `last` are the marks of the job's own model there. `is_last` says that the two are the same.
    """

    step: int
    model: str
    is_last: bool
    why: str
    on: Literal["fresh trials", "other cases", "nothing"] = "nothing"
    fresh: tuple[SuiteMark, ...] = ()
    last: tuple[SuiteMark, ...] = ()


@record
class CheckpointStudy:
    """A job's checkpoints on the suites, in the order of their steps, and which of them to take."""

    job: str
    checkpoints: tuple[CheckpointMarks, ...]
    choice: CheckpointChoice | None = None


@record
class DoublingEstimate:
    """What twice the data is expected to bring, in points of score (0..1), with the 80 % band.

    `last_gain` is what the last doubling brought: the literal reading of half against full data.
    `to_tell` is what would turn "cannot tell" into an answer; empty otherwise.
    """

    gain: float
    low: float
    high: float
    word: DoublingWord
    last_gain: float | None = None
    to_tell: str = ""
    cautions: tuple[str, ...] = ()


@record
class Arm:
    """One training on a share of the data: `share` in 0..1 of `rows` of the whole, and what came of it."""

    share: float
    rows: int
    seed: int
    job: str | None = None
    model: str | None = None
    marks: tuple[SuiteMark, ...] = ()
    cost_usd: float | None = None


@record
class ScalingStudy:
    """The same training on nested shares of the data, and what doubling the whole would bring by suite.

    `pooled` is the estimate over the target suites together. Costs are in USD; None where a price is unknown.
    """

    id: str
    epochs: int
    arms: tuple[Arm, ...]
    by_suite: Mapping[str, DoublingEstimate] = field(default_factory=dict)
    pooled: DoublingEstimate | None = None
    doubling_cost_usd: float | None = None
    cautions: tuple[str, ...] = ()


@record
class Advice:
    """One line of advice: what to do, what was seen that says so, and where the rule comes from.

    `action` is a word for machines: ship, more_epochs, fewer_epochs, earlier_checkpoint, more_data, cleaner_data,
    more_cases, validation_file, cannot_tell.
    """

    action: str
    says: str
    saw: str
    source: str
