"""OpenAI's graders as scorers: the JSON that its evals and its reinforcement fine-tuning take, as it stands."""

from harness.scorers.graders.combination import NO_PYTHON, JudgedMulti, MultiGrader
from harness.scorers.graders.models import LabelModel, ScoreModel
from harness.scorers.graders.strings import CosineSimilarity, StringCheck, TextSimilarity

__all__ = [
    "NO_PYTHON",
    "CosineSimilarity",
    "JudgedMulti",
    "LabelModel",
    "MultiGrader",
    "ScoreModel",
    "StringCheck",
    "TextSimilarity",
]
