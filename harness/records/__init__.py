"""The nouns of the harness. Read this room first: questions, answers, judgements, runs, decisions.

Every record is frozen and keyword-only; change one with `dataclasses.replace`. Facts are stored
once: pass, rates and verdicts are derived. Nothing missing is a number: no answer is a `Failure`,
no judgement is a `Score` whose value is None.
"""

from harness.records.answers import Completion, Embedding, Failure, ToolCall, Usage
from harness.records.decisions import (
    CaseComparison,
    Comparison,
    GateFinding,
    LabelFigures,
    LabelFinding,
    PromptSaving,
    Purchase,
    SuiteVerdict,
    Verdict,
)
from harness.records.form import Json, Message, record
from harness.records.judgements import JUDGE_SAMPLING, Bill, Label, Question, Result, Score
from harness.records.questions import Case, Endpoint, Gate, Sampling, ScorerSpec, Suite
from harness.records.runs import Checkpoint, Looks, Manifest, ModelFacts, Retirement, Run, TrainingJob
from harness.records.studies import (
    Advice,
    Arm,
    CheckpointChoice,
    CheckpointMarks,
    CheckpointStudy,
    DoublingEstimate,
    DoublingWord,
    ScalingStudy,
    SuiteMark,
)
from harness.records.words import (
    Change,
    Decision,
    FailureKind,
    Goal,
    Outcome,
    Role,
    RunStatus,
    SuiteRole,
)

__all__ = [
    "JUDGE_SAMPLING",
    "Advice",
    "Arm",
    "Bill",
    "Case",
    "CaseComparison",
    "Change",
    "Checkpoint",
    "CheckpointChoice",
    "CheckpointMarks",
    "CheckpointStudy",
    "Comparison",
    "Completion",
    "Decision",
    "DoublingEstimate",
    "DoublingWord",
    "Embedding",
    "Endpoint",
    "Failure",
    "FailureKind",
    "Gate",
    "GateFinding",
    "Goal",
    "Json",
    "Label",
    "LabelFigures",
    "LabelFinding",
    "Looks",
    "Manifest",
    "Message",
    "ModelFacts",
    "Outcome",
    "PromptSaving",
    "Purchase",
    "Question",
    "Result",
    "Retirement",
    "Role",
    "Run",
    "RunStatus",
    "Sampling",
    "ScalingStudy",
    "Score",
    "ScorerSpec",
    "Suite",
    "SuiteMark",
    "SuiteRole",
    "SuiteVerdict",
    "ToolCall",
    "TrainingJob",
    "Usage",
    "Verdict",
    "record",
]
