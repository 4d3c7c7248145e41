"""What is said of an answer: by scorers, by judges, by people."""

from collections.abc import Mapping
from dataclasses import field

from harness.records.answers import Completion, Failure, Usage
from harness.records.form import Message, record
from harness.records.questions import Sampling
from harness.records.words import Role

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

    Tokens are those the endpoint told of; `is_partial` says that it left some out. `by_batch` of the answered came with
    a batch, at its price, and took `batch_usage` of the tokens. `systems` are those that gave the replies, cached ones too: what
    the endpoint calls `system_fingerprint`.
    """

    answered: int = 0
    from_cache: int = 0
    failed: int = 0
    usage: Usage = field(default_factory=Usage)
    is_partial: bool = False
    by_batch: int = 0
    batch_usage: Usage = field(default_factory=Usage)
    systems: tuple[str, ...] = ()


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
