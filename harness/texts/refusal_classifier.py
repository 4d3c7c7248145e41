"""How likely is each kind of refusal, given the signs in an answer? Logistic regressions whose weights ship with the package.

`scripts/refusal_reading/train.py` fits them and writes `refusal_weights.json`; docs/refusal-model.md says on what and how well.
Here they are only added up, which needs no library.
"""

import json
from collections.abc import Mapping, Set
from functools import cache
from math import exp
from pathlib import Path

from harness.records import record

WEIGHTS = Path(__file__).with_name("refusal_weights.json")
KINDS = ("decline", "cannot", "refute", "partial")
"""What has a regression of its own; an answer that is none of them complies."""

# The file holds hundredths of a logit: whole numbers are short, and no reading turns on less.
UNITS_PER_LOGIT = 100
_LARGEST_LOGIT = 30.0


@record
class Weights:
    """By sign the weight for each of `KINDS`, and the weights that hold without any sign, in hundredths of a logit."""

    biases: tuple[int, ...]
    by_sign: Mapping[str, tuple[int, ...]]
    signs: frozenset[str]
    """The keys of `by_sign`: two sets meet faster than a set and a mapping."""


@cache
def shipped_weights() -> Weights:
    """The weights of the package, read when the first answer is."""
    fitted: dict[str, dict[str, int]] = json.loads(WEIGHTS.read_text(encoding="utf-8"))["weights"]
    every_sign = frozenset(sign for of_kind in fitted.values() for sign in of_kind if sign)
    return Weights(
        biases=tuple(fitted[kind].get("", 0) for kind in KINDS),
        by_sign={sign: tuple(fitted[kind].get(sign, 0) for kind in KINDS) for sign in every_sign},
        signs=every_sign,
    )


def probabilities(signs: Set[str], weights: Weights) -> dict[str, float]:
    """The probability of each of `KINDS`; they are judged one by one and need not add up to 1."""
    rows = [weights.by_sign[sign] for sign in signs & weights.signs]
    sums = map(sum, zip(weights.biases, *rows, strict=True))
    return {kind: _probability(total / UNITS_PER_LOGIT) for kind, total in zip(KINDS, sums, strict=True)}


def strongest_sign(signs: Set[str], weights: Weights, *, kind: str) -> str:
    """The two or three words (hanzi) that speak most for a kind; empty when none do."""
    place = KINDS.index(kind)
    spoken = [
        sign
        for sign in signs & weights.signs
        if (" " in sign and sign[0] != "#") or (len(sign) > 1 and not sign.isascii())
    ]
    # Equal weights are told apart by the sign itself: the order of a set differs from run to run.
    best = max(spoken, key=lambda sign: (weights.by_sign[sign][place], sign), default="")
    return best.strip("^ .") if best and weights.by_sign[best][place] > 0 else ""


def _probability(logit: float) -> float:
    return 1 / (1 + exp(-max(-_LARGEST_LOGIT, min(_LARGEST_LOGIT, logit))))
