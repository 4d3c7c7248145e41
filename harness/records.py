"""The nouns of the harness. Read this file first.

Every record is frozen and keyword-only; change one with `dataclasses.replace`. Facts are stored
once: pass, rates and verdicts are derived. Nothing missing is a number: no answer is a `Failure`,
no judgement is a `Score` whose value is None.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

if sys.version_info >= (3, 11):
    from typing import dataclass_transform
else:
    from typing_extensions import dataclass_transform

Json: TypeAlias = object
"""A JSON value: None, bool, int, float, str, a list or a dict of them. Narrow it before use."""
Message: TypeAlias = Mapping[str, Json]
"""One chat message as it goes over the wire: role, content, and what else the provider knows."""

Role = Literal["base", "candidate", "promoted", "judge", "embedding"]
"""What a model does in a run. `promoted` is the model now in production; `embedding` gives vectors, no answers."""
SuiteRole = Literal["target", "guard", "critical", "info"]
Change = Literal["kept", "improved", "regressed", "missed"]
"""A case's candidate against its reference: both good, only candidate, only reference, neither."""
Decision = Literal["pass", "fail", "undecided"]
Outcome = Literal["promote", "hold", "undecided"]
RunStatus = Literal["running", "complete", "interrupted"]
FailureKind = Literal[
    "auth",  # the key is missing, wrong, or may not use this model
    "model_not_found",
    "quota",  # out of money: retrying is pointless
    "rate_limit",  # 429 to the last retry
    "connection",  # nothing listens, or the connection broke
    "timeout",
    "server",  # 5xx to the last retry
    "bad_request",  # the endpoint rejected this request
    "malformed",  # an answer that is not a chat completion
    "not_asked",  # the run stopped before this request was sent
]

_Class = TypeVar("_Class", bound=type)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def record(cls: _Class) -> _Class:
    """Make a frozen, slotted, keyword-only dataclass: the form of every noun here.

    The plain dictionary of options tells `serial` to refuse unknown keys at every depth.
    """
    made: type = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    made.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return made  # type: ignore[return-value]


# --- what is asked -----------------------------------------------------------------------------


@record
class Sampling:
    """How an answer is drawn. None leaves a setting to the endpoint."""

    temperature: float | None = 0.0
    max_tokens: int | None = 256
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    response_format: Mapping[str, Json] | None = None
    tools: tuple[Mapping[str, Json], ...] = ()
    top_logprobs: int | None = None


@record
class Case:
    """One fixed prompt with an id and what is expected of the answer.

    `messages` are the turns after the system prompt. `family` is the value of the suite's family
    key in `metadata`: cases that share one are not independent.
    """

    id: str
    messages: tuple[Message, ...]
    expected: Json = None
    tags: tuple[str, ...] = ()
    required: bool = False
    metadata: Mapping[str, Json] = field(default_factory=dict)
    line: int = 0


@record
class ScorerSpec:
    """One entry of a suite's `scorers`: the type, the name its metric goes by, its settings.

    `code` is the digest of a scorer of somebody's own; empty for one that is built in.
    """

    type: str
    name: str
    weight: float = 1.0
    settings: Mapping[str, Json] = field(default_factory=dict)
    code: str = ""


@record
class Gate:
    """A declared condition on one metric of the candidate: absolute, or a ratio of the reference's.

    `metric` is a scorer's name (its mean value), a measure a scorer reports (`refusal_rate`), or
    one of `score`, `tokens`, `prompt_tokens`, `completion_tokens`, `latency_s`.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    at_least_ratio: float | None = None
    at_most_ratio: float | None = None


@record
class Suite:
    """Cases, the scorers that judge their answers, and the gates on the result."""

    name: str
    cases: tuple[Case, ...]
    scorers: tuple[ScorerSpec, ...]
    role: SuiteRole = "target"
    task: Literal["single", "multi"] = "single"
    description: str = ""
    margin: float | None = None
    weight: float = 1.0
    needs: tuple[str, ...] = ()
    system: str | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)
    trials: int = 1
    family: str | None = None
    pass_mark: float = 1.0
    gates: tuple[Gate, ...] = ()
    path: str = ""
    digest: str = ""


@record
class Endpoint:
    """Where requests go: a provider's or a server's base URL, its key, and how to ask it.

    `label` is the public name used in cache keys, manifests and messages; it stays the same when a
    local server comes up on another port. The key is never shown, logged or stored.
    """

    label: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 600.0
    max_retries: int = 5
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


# --- what comes back ---------------------------------------------------------------------------


@record
class Usage:
    """Tokens of one request as the endpoint counts them; None where it does not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None


@record
class ToolCall:
    """A function the model wants called; `arguments` is the JSON text as it came."""

    name: str
    arguments: str
    id: str = ""


@record
class Completion:
    """An answer. An empty `text` is an answer too.

    `refusal` is the API's own refusal field; `latency_s` covers retries; `cached` says that the
    answer was paid for by an earlier run. `top_logprobs` has, for each generated token, the natural
    log-probabilities of the likeliest tokens, the generated one first; it is empty where none were asked
    for or given.
    """

    text: str
    finish_reason: str | None = None
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    system_fingerprint: str | None = None
    latency_s: float = 0.0
    cached: bool = False
    top_logprobs: tuple[Mapping[str, float], ...] = ()


@record
class Embedding:
    """A text as a vector, with what it took; `cached` as of a Completion."""

    vector: tuple[float, ...]
    prompt_tokens: int | None = None
    cached: bool = False


@record
class Failure:
    """Why no answer came. Never scored, never zero, never text.

    A `fatal` failure (wrong key, unknown model, exhausted quota) would meet every other request
    of the same model too: the run stops asking it.
    """

    kind: FailureKind
    message: str
    status: int | None = None
    fatal: bool = False


# --- judging -----------------------------------------------------------------------------------

# A judge's verdict should not change between two readings of the same answer; it reasons before it decides.
JUDGE_SAMPLING = Sampling(temperature=0.0, max_tokens=1024)


@record
class Question:
    """One question of a scorer to a judge, put `repeats` times; `name` tells it from the scorer's others."""

    name: str
    messages: tuple[Message, ...]
    sampling: Sampling = JUDGE_SAMPLING
    repeats: int = 1


@record
class Score:
    """A judgement: a value in 0..1 where 1 is always good, or None (unscored), and the reason.

    `answer` is what the scorer read out of the text; `measures` are further numbers it saw (a
    refusal, a length), whose means are metrics of their own. `broken` says that there is no value
    because the scorer itself broke: the first line of the reason says how, its frames follow.
    `failure` says that there is none because the judge, or the embedding model, gave no answer.
    """

    value: float | None
    reason: str
    answer: str | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    broken: bool = False
    failure: Failure | None = None


@record
class Bill:
    """What it took to have an answer judged: requests, and the tokens of those that were paid for.

    Tokens are those the endpoint told of; `is_partial` says that it left some out.
    """

    answered: int = 0
    from_cache: int = 0
    failed: int = 0
    usage: Usage = field(default_factory=Usage)
    is_partial: bool = False


@record
class Result:
    """One row of a run: what one model answered to one trial of one case, and its scores.

    `bills` says what judging it took, by the role that was asked: judge, embedding.
    """

    suite: str
    case: str
    role: Role
    model: str
    trial: int
    digest: str
    outcome: Completion | Failure
    scores: Mapping[str, Score] = field(default_factory=dict)
    bills: Mapping[str, Bill] = field(default_factory=dict)


@record
class Label:
    """What one person says in a judge's place about one answer of a run.

    `question` tells the criteria of one scorer apart, and `weight` is the question's share in the scorer's
    value. `label` is the word the person chose; `value` is what it counts, 0..1, or None: cannot say.
    """

    suite: str
    case: str
    role: Role
    trial: int
    scorer: str
    annotator: str
    label: str
    value: float | None
    question: str = ""
    weight: float = 1.0


# --- training ----------------------------------------------------------------------------------


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


# --- a run -------------------------------------------------------------------------------------


@record
class ModelFacts:
    """Who played a role: its id and endpoint (never a key), and its price in USD per 1M tokens."""

    model: str
    endpoint: str
    price: Mapping[str, float] = field(default_factory=dict)


@record
class Manifest:
    """What a run was: enough to recompute its verdict and its page from its folder alone.

    `selected` maps each suite to the ids of the cases that were asked for, in order; `skipped` maps
    suites that were not asked at all to the reason; times are UTC in ISO 8601. `judging` pins the
    prompts of judged scorers: a digest for each `suite: scorer`. `warnings` are sentences on what
    weakens the run's evidence, such as a judge of the candidate's own family.
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


@record
class Run:
    """One manifest and its results, the newest row of each (suite, case, role, trial).

    `labels` are what people said about some of the answers that a judge scored.
    """

    manifest: Manifest
    results: tuple[Result, ...]
    path: Path | None = None
    labels: tuple[Label, ...] = ()


# --- the decision ------------------------------------------------------------------------------


@record
class CaseComparison:
    """One case, candidate against reference: their scores (means over trials) and the change."""

    suite: str
    case: str
    candidate: float | None
    reference: float | None
    change: Change | None


@record
class Comparison:
    """Candidate against reference, paired by case."""

    candidate: Role
    reference: Role
    cases: tuple[CaseComparison, ...]


@record
class SuiteVerdict:
    """What one suite says. Scores are in 0..1; the interval is the two-sided 90 % one.

    `rule` names the test that decided; `reason` is its sentence. `better` and `worse` count the
    cases where the candidate's score is higher or lower. None where nothing can be computed.
    """

    name: str
    role: SuiteRole
    decision: Decision
    rule: str
    reason: str
    cases: int
    candidate: float | None = None
    reference: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    margin: float | None = None
    better: int = 0
    worse: int = 0
    smallest_detectable: float | None = None
    cases_needed: int | None = None


@record
class GateFinding:
    """A declared gate, judged: the candidate's value, the reference's, the decision and why."""

    suite: str
    gate: Gate
    decision: Decision
    reason: str
    value: float | None = None
    reference: float | None = None
    interval: tuple[float, float] | None = None


@record
class LabelFigures:
    """How one model sorted a suite's cases into labels.

    `confusion` has a row for each label that is expected and a column for each that was read, the last for
    invalid answers; entries are cases, shared out over a case's trials. Macro-F1 is the mean F1 of the labels
    that have cases, the interval its two-sided 95 % one; None where there is too little to say.
    """

    confusion: tuple[tuple[float, ...], ...]
    macro_f1: float | None = None
    interval: tuple[float, float] | None = None


@record
class LabelFinding:
    """One `label` scorer of a suite over all its cases, by role; the candidate's macro-F1 minus the reference's.

    The difference is over the cases that both answered, its interval the two-sided 90 % one. `note`
    says why an interval is missing.
    """

    suite: str
    scorer: str
    labels: tuple[str, ...]
    figures: Mapping[str, LabelFigures]
    difference: float | None = None
    interval: tuple[float, float] | None = None
    note: str = ""


@record
class Verdict:
    """Promote, hold or undecided; the reasons, one sentence each; what would settle it."""

    outcome: Outcome
    reasons: tuple[str, ...]
    suites: Mapping[str, SuiteVerdict] = field(default_factory=dict)
    gates: tuple[GateFinding, ...] = ()
    next_steps: tuple[str, ...] = ()
    reference: str = "base"
    pooled: SuiteVerdict | None = None
    classifications: tuple[LabelFinding, ...] = ()
