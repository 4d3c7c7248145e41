"""OpenAI's graders as scorers: the JSON that its evals and its reinforcement fine-tuning take, as it stands."""

from harness.scorers.graders.combination import NO_PYTHON, MultiGrader
from harness.scorers.graders.models import LabelModel, ScoreModel
from harness.scorers.graders.strings import StringCheck, TextSimilarity

__all__ = ["NO_PYTHON", "LabelModel", "MultiGrader", "ScoreModel", "StringCheck", "TextSimilarity"]
