"""Token accuracy without the tokens that every answer ends with: OpenAI and Azure count them as part of it.

Right tokens over (answer tokens + 2) fit 628 of 628 steps of three real result files; for a tool call it is name and
argument tokens + 5, on 309 of 309 steps.
"""

import numpy as np

from harness.records import record
from harness.training.curves import TrainingCurve

TOOL_CALL_CLOSING_TOKENS = 5
"""What is counted beyond the name and the arguments of a tool call."""

# Five decimals tell fractions with denominators up to this apart: two of them differ by 1/300² at least.
_LARGEST_DENOMINATOR = 300
_ROUNDING = 5.1e-6
# Of random fractions six in ten cannot be shortened (6/π²); the others tell a divisor of the length only.
_SHORTENED = 0.39
_FEWEST, _ENOUGH = 8, 1000
# A batch of two answers counts six tokens at least, so a smaller denominator is of one answer.
_TWO_ANSWERS = 6


@record
class AnswerLength:
    """What is known of the answers that accuracies count: mean length in tokens, answers a step, closing tokens."""

    tokens: float | None = None
    batch_size: int | None = None
    closing: int = 0


def corrected_accuracy(accuracy: float, *, answer_tokens: float, closing: int = 2) -> float:
    """The accuracy of the answers' own tokens, were all closing tokens right: (a (n + c) - c) / n, not below 0.

    Args:
        accuracy: As it was counted, in 0..1.
        answer_tokens: n, the mean length of an answer in tokens without the closing ones.
        closing: c, how many closing tokens each answer has.
    """
    return max(0.0, (accuracy * (answer_tokens + closing) - closing) / answer_tokens)


def inferred_length(curve: TrainingCurve, *, batch_size: int | None, closing: int) -> float | None:
    """The mean length of an answer, told from what the training accuracies can be fractions of; None where unclear."""
    accuracies = curve.steps["train_accuracy"].dropna().to_numpy()
    parts = [
        _denominator(float(value)) for value in accuracies[:: 1 + len(accuracies) // _ENOUGH] if 0 < value < 1
    ]
    known = sorted(part for part in parts if part is not None)
    if len(known) < max(_FEWEST, 0.9 * len(parts)):
        return None
    counted = float(np.mean(known[int(_SHORTENED * len(known)) :]))
    if batch_size is None and counted >= _TWO_ANSWERS:
        return None
    length = counted / (batch_size or 1) - closing
    return length if length >= 1 else None


def _denominator(value: float) -> int | None:
    """The smallest one of a fraction that rounds to the value."""
    candidates = np.arange(1, _LARGEST_DENOMINATOR + 1)
    fits = np.abs(np.round(value * candidates) / candidates - value) <= _ROUNDING
    return int(candidates[fits][0]) if fits.any() else None
