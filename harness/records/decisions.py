"""What follows from a run: comparisons, verdicts and their reasons."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from harness.records.form import record
from harness.records.questions import Gate
from harness.records.words import Change, Decision, Goal, Outcome, Role, SuiteRole


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
class Purchase:
    """More answers that are expected to settle a suite: so many cases in all, or each case asked so often.

    `shows` is what they are expected to show: that the candidate is better, that it is safe, or that it is worse.
    `now` is what the run had of them. `requests` counts what is still to be asked, of every model and of the judge;
    `cost_usd` is what models of known price take for that, `tokens` what the others take; None where there are none.
    `is_partial` says that the run does not tell all of it.
    """

    kind: Literal["cases", "trials"]
    shows: Literal["better", "safe", "worse"]
    needed: int
    now: int
    requests: int
    cost_usd: float | None = None
    tokens: int | None = None
    is_partial: bool = False


@record
class SuiteVerdict:
    """What one suite says. Scores are in 0..1; the interval is the two-sided 90 % one.

    `rule` names the test that decided; `reason` is its sentence. `better` and `worse` count the
    cases where the candidate's score is higher or lower. None where nothing can be computed.

    What is planned with succeeds in 80 % of runs: `smallest_detectable` is the true difference these cases would find,
    `provable_margin` the loss they would rule out in a model that lost nothing, `purchases`
    what would settle an undecided suite if the truth is what was seen, the cheapest first. `spread` is the
    standard deviation of a case's difference.
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
    trials_needed: int | None = None
    provable_margin: float | None = None
    spread: float | None = None
    purchases: tuple[Purchase, ...] = ()


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
class PromptSaving:
    """What other prompts for the candidate save in one suite, and whether its answers are worse for it.

    `tokens` and `reference_tokens` are prompt tokens of a call on average, over the calls both models answered;
    `saved_usd` is for 1,000 calls at the price of the candidate's model. None where the endpoint tells no tokens,
    or the model has no price. `decision` is the guard's: shown to lose less than the suite's margin, harmed, or neither.
    """

    suite: str
    decision: Decision
    calls: int
    tokens: float | None = None
    reference_tokens: float | None = None
    saved_usd: float | None = None


@record
class Verdict:
    """Promote, hold or undecided; all of it in one sentence; the reasons, one sentence each; what would settle it.

    With the goal `migration`, promote says that the candidate is as good as the reference.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    suites: Mapping[str, SuiteVerdict] = field(default_factory=dict)
    gates: tuple[GateFinding, ...] = ()
    next_steps: tuple[str, ...] = ()
    reference: str = "base"
    pooled: SuiteVerdict | None = None
    classifications: tuple[LabelFinding, ...] = ()
    goal: Goal = "improvement"
    savings: tuple[PromptSaving, ...] = ()
    summary: str = ""
