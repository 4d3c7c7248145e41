"""How alike are two texts? By characters, by words, or by the directions of their embeddings.

chrF is the F-score of character n-grams, which needs no words and so no tokenizer: Popović 2015 ("chrF: character n-gram F-score for automatic MT evaluation"), with the settings of sacrebleu's chrF2: n-grams of 1 to 6
characters without white space, recall counted twice as much as precision, averaged over the lengths both texts have.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from rapidfuzz import fuzz

from harness.texts import word_overlap
from harness.texts.word_overlap import words_of

LONGEST_GRAM = 6
RECALL_WEIGHT = 2.0


def chrf(text: str, reference: str) -> float:
    """The likeness of a text to a reference, 0..1; two empty texts are the same."""
    own, other = "".join(text.split()), "".join(reference.split())
    if not own or not other:
        return float(own == other)
    precisions, recalls = [], []
    for length in range(1, LONGEST_GRAM + 1):
        mine, theirs = _grams(own, length), _grams(other, length)
        if not mine or not theirs:
            break
        shared = sum((mine & theirs).values())
        precisions.append(shared / sum(mine.values()))
        recalls.append(shared / sum(theirs.values()))
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    if precision + recall == 0:
        return 0.0
    weight = RECALL_WEIGHT**2
    return (1 + weight) * precision * recall / (weight * precision + recall)


def ratio(text: str, reference: str) -> float:
    """Twice the characters that two texts share in order, over those they have, 0..1; two empty texts are the same."""
    return fuzz.ratio(text, reference) / 100


def cosine(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The cosine of two vectors, none below 0; None for vectors that have no direction or not the same length."""
    lengths = math.hypot(*one) * math.hypot(*other)
    if len(one) != len(other) or not math.isfinite(lengths) or lengths == 0:
        return None
    value = math.fsum(a * b for a, b in zip(one, other, strict=True)) / lengths
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else None


def _by_words(measure: Callable[[list[str], list[str]], float], text: str, reference: str) -> float:
    own, other = words_of(text), words_of(reference)
    if not own or not other:
        return float(text.split() == reference.split())
    return measure(own, other)


LIKENESSES: Mapping[str, Callable[[str, str], float]] = MappingProxyType(
    {
        "chrf": chrf,
        "ratio": ratio,
        "bleu": partial(_by_words, word_overlap.bleu),
        "gleu": partial(_by_words, word_overlap.gleu),
        "meteor": partial(_by_words, word_overlap.meteor),
        **{
            f"rouge_{length}": partial(_by_words, partial(word_overlap.rouge_n, length=length))
            for length in range(1, 6)
        },
        "rouge_l": partial(_by_words, word_overlap.rouge_l),
    }
)
"""Measures of a text against a reference, 0..1. Texts without a word in them are alike when they are equal."""


def _grams(text: str, length: int) -> Counter[str]:
    return Counter(text[start : start + length] for start in range(len(text) - length + 1))
