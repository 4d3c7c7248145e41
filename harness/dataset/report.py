"""What is known of a training file before money is spent on it."""

from collections.abc import Mapping
from pathlib import Path

from harness.dataset.billing import PROMPT_OVER_ROW
from harness.dataset.findings import Finding
from harness.dataset.formats import FormatError
from harness.dataset.histograms import Histogram
from harness.dataset.official import Distribution
from harness.dataset.shapes import Form
from harness.records import record


@record
class TrainingCost:
    """What the job will bill and what its model will cost to ask, in USD; None where no price is known.

    `per_1000_cases_*` are prompts and answers as long as this file's rows, asked of the base and of the fine-tune. `train_price`
    is for 1M tokens; `as_of` is the month the prices were read, or whose they are; `shutdown` the base's last day.
    """

    training_usd: float | None
    per_1000_cases_base_usd: float | None
    per_1000_cases_tuned_usd: float | None
    as_of: str | None
    train_price: float | None = None
    shutdown: str | None = None


@record
class RefusalShare:
    """How many of the written answers refuse, and the share (0..1) expected in production where somebody said it."""

    answers: int
    refusals: int
    expected: float | None


@record
class DatasetReport:
    """A checked file.

    Attributes:
        path: The file.
        digest: SHA-256 of its bytes.
        model: The base model it is judged for.
        form: What most of its rows are; None when none is an example.
        rows: Lines that are not blank.
        examples: Rows a job can train on.
        errors: The first mistakes of rows, in file order, and `error_counts` of all of them by category.
        warnings: What a job would refuse about the file as a whole, cut, or bill for nothing.
        findings: What is wrong with the data itself.
        tokens: Distributions of messages, tokens and answer tokens a row, as the official script takes them, and
            `histograms` of the same.
        labels: How often each label occurs, the most frequent first; empty where answers are no labels.
        refusals: None where no row has a written answer.
        script_tokens: The official script's tokens of one epoch, in the model's own encoding and without a limit.
        billed_tokens: What one epoch bills, each row cut at `example_limit`.
        epochs: What the provider chooses when the job leaves it open, as `batch_size` and `learning_rate_multiplier`.
    """

    path: Path
    digest: str
    model: str
    encoding: str
    form: Form | None
    rows: int
    examples: int
    errors: tuple[FormatError, ...]
    error_counts: Mapping[str, int]
    warnings: tuple[Finding, ...]
    findings: tuple[Finding, ...]
    tokens: Mapping[str, Distribution]
    histograms: Mapping[str, Histogram]
    labels: Mapping[str, int]
    refusals: RefusalShare | None
    script_tokens: int
    billed_tokens: int
    example_limit: int | None
    epochs: int
    batch_size: int
    learning_rate_multiplier: float | None
    cost: TrainingCost
    valid: "DatasetReport | None" = None

    @property
    def uncut_tokens(self) -> int:
        """What one epoch would bill if no row were cut."""
        return self.script_tokens - PROMPT_OVER_ROW * self.examples

    @property
    def is_fit(self) -> bool:
        """Whether a job would take the file: no mistake in any row, and nothing wrong with it as a whole."""
        wrong = self.error_counts or any(warning.level == "error" for warning in self.warnings)
        return not wrong and (self.valid is None or self.valid.is_fit)
