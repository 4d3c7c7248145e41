"""What a run was, and the fine-tuning that its candidate came from."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from harness.records.form import Json, record
from harness.records.judgements import Label, Result
from harness.records.questions import Suite
from harness.records.words import Goal, Role, RunStatus


@record
class TrainingJob:
    """A fine-tuning job as the provider reports it, with the digest of what it was made from."""

    id: str
    status: str
    model: str
    fine_tuned_model: str | None = None
    hyperparameters: Mapping[str, Json] = field(default_factory=dict)
    trained_tokens: int | None = None
    created_at: int | None = None
    finished_at: int | None = None
    error: str | None = None
    digest: str | None = None


@record
class Checkpoint:
    """A usable model from the middle of a job."""

    model: str
    step: int
    metrics: Mapping[str, float] = field(default_factory=dict)


BATCH_SHARE = 0.5
"""What a request of a batch costs of the price, where a provider says nothing else: OpenAI, Azure, Mistral and Together have it."""


@record
class ModelFacts:
    """Who played a role: its id and endpoint (never a key), and its price in USD per 1M tokens.

    `price` has `input`, `cached` and `output`, and `batch_input` and `batch_output` where those are not half of them.
    """

    model: str
    endpoint: str
    price: Mapping[str, float] = field(default_factory=dict)

    @property
    def batch_price(self) -> Mapping[str, float]:
        """The `input` and `output` of a request in a batch. Prompts from the provider's cache cost no less there."""
        return {
            kind: self.price.get(f"batch_{kind}", BATCH_SHARE * self.price[kind])
            for kind in ("input", "output")
            if kind in self.price
        }


@record
class Retirement:
    """The day a provider shuts a model of the run down, `YYYY-MM-DD`, and who says so.

    `told_by` is `configuration`, `endpoint`, or the month of the price table, `YYYY-MM`. `tuned_from` is the base whose
    last day it is, where the model itself has none of its own.
    """

    role: Role
    model: str
    day: str
    told_by: str
    tuned_from: str | None = None


@record
class Looks:
    """How a run that may stop early asks: its cases in the random order that `seed` gives, a part before each look.

    `cases` maps each suite to how many of its cases are asked before each look. `taken` says at which look, from 1,
    the run ended; None until it has. `why` is the sentence of a run that stopped before its last look.
    """

    seed: str
    cases: Mapping[str, tuple[int, ...]]
    taken: int | None = None
    why: str = ""


@record
class Manifest:
    """What a run was: enough to recompute its verdict and its page from its folder alone.

    `selected` maps each suite to the ids of the cases that were asked for, in order; `skipped` maps
    suites that were not asked at all to the reason; times are UTC in ISO 8601. `judging` pins the
    prompts of judged scorers: a digest for each `suite: scorer`. `warnings` are sentences on what
    weakens the run's evidence, such as a judge of the candidate's own family. `retirements` are the last days that
    were known of its models when it began, however far away. `looks` is there when it may stop early. `fingerprints` counts,
    by role, the answers of each system that an endpoint named behind its model.
    """

    schema: int
    id: str
    status: RunStatus
    created: str
    suites: tuple[Suite, ...]
    models: Mapping[str, ModelFacts]
    selected: Mapping[str, tuple[str, ...]]
    plan: str
    skipped: Mapping[str, str] = field(default_factory=dict)
    finished: str | None = None
    reason: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    job: TrainingJob | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    alpha: float = 0.05
    judging: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    goal: Goal = "improvement"
    retirements: tuple[Retirement, ...] = ()
    looks: Looks | None = None
    fingerprints: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def counted(self) -> Mapping[str, tuple[str, ...]]:
        """The ids of the cases the verdict rests on: all that were selected, or those before the look a run ended at."""
        looks = self.looks
        if looks is None or looks.taken is None:
            return self.selected
        ends = {name: sizes[looks.taken - 1] for name, sizes in looks.cases.items()}
        return {name: cases[: ends.get(name)] for name, cases in self.selected.items()}


@record
class Run:
    """One manifest and its results, the newest row of each (suite, case, role, trial).

    `labels` are what people said about some of the answers that a judge scored.
    """

    manifest: Manifest
    results: tuple[Result, ...]
    path: Path | None = None
    labels: tuple[Label, ...] = ()
