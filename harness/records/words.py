"""The closed lists of words that nouns are told apart by."""

from typing import Literal

Role = Literal["base", "candidate", "promoted", "judge", "embedding"]
"""What a model does in a run. `promoted` is the model now in production; `embedding` gives vectors, no answers."""
SuiteRole = Literal["target", "guard", "critical", "info"]
Change = Literal["kept", "improved", "regressed", "missed"]
"""A case's candidate against its reference: both good, only candidate, only reference, neither."""
Decision = Literal["pass", "fail", "undecided"]
Outcome = Literal["promote", "hold", "undecided"]
Goal = Literal["improvement", "migration"]
"""What a run is to show: that the candidate is better, or that it can replace its reference without loss."""
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
