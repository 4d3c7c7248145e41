"""How alike are two texts? chrF: the F-score of character n-grams, which needs no words and so no tokenizer.

Popović 2015 ("chrF: character n-gram F-score for automatic MT evaluation"), with the settings of sacrebleu's chrF2: n-grams of 1 to 6
characters without white space, recall counted twice as much as precision, averaged over the lengths both texts have.
"""

from collections import Counter

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


def _grams(text: str, length: int) -> Counter[str]:
    return Counter(text[start : start + length] for start in range(len(text) - length + 1))
