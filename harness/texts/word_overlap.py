"""How alike are two texts by their words? ROUGE, BLEU, GLEU and METEOR of one text against one reference, each 0..1.

A word is a run of letters and digits; a Chinese, Japanese or Thai character is a word of its own. Google's rouge_score knows
ASCII words only, by which a Chinese text has nothing in common with itself. Case does not count, nor does punctuation.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import regex
from rapidfuzz.distance import LCSseq

# Papineni et al. 2002 and Wu et al. 2016: n-grams of up to four words.
LONGEST_GRAM = 4
# Lavie and Agarwal 2007: the weight of precision, and the form and size of the penalty for words out of order.
METEOR_ALPHA, METEOR_BETA, METEOR_GAMMA = 0.9, 3.0, 0.5

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = regex.compile(rf"[{_UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{N}}]--[{_UNSPACED}]][[\p{{L}}\p{{N}}\p{{M}}]--[{_UNSPACED}]]*", regex.V1)  # fmt: skip

Words = Sequence[str]


def words_of(text: str) -> list[str]:
    """The words that are compared, in order."""
    found: list[str] = _WORD.findall(text.casefold())
    return found


def rouge_n(words: Words, reference: Words, *, length: int) -> float:
    """ROUGE-N: the F-score of shared n-grams of one length (Lin 2004)."""
    own, other = _grams(words, length), _grams(reference, length)
    return _f_score(sum((own & other).values()), sum(own.values()), sum(other.values()))


def rouge_l(words: Words, reference: Words) -> float:
    """ROUGE-L: the F-score of the longest common subsequence (Lin 2004)."""
    return _f_score(LCSseq.similarity(words, reference), len(words), len(reference))


def bleu(words: Words, reference: Words) -> float:
    """Sentence BLEU as sacrebleu has it: orders the text has no n-grams of are left out, each without a match is halved.

    Papineni et al. 2002; the smoothing is method 3 of Chen and Cherry 2014.
    """
    smoothing, logs = 1.0, []
    for length in range(1, LONGEST_GRAM + 1):
        own, other = _grams(words, length), _grams(reference, length)
        if not own:
            break
        shared: float = sum((own & other).values())
        if not shared:
            if length == 1:
                return 0.0
            smoothing *= 2
            shared = 1 / smoothing
        logs.append(math.log(shared / sum(own.values())))
    if not logs or not reference:
        return 0.0
    brevity = min(1.0, math.exp(1 - len(reference) / len(words)))
    return brevity * math.exp(math.fsum(logs) / len(logs))


def gleu(words: Words, reference: Words) -> float:
    """Google's GLEU: the smaller of precision and recall over all n-grams of 1 to 4 words (Wu et al. 2016)."""
    shared = own_count = other_count = 0
    for length in range(1, LONGEST_GRAM + 1):
        own, other = _grams(words, length), _grams(reference, length)
        shared += sum((own & other).values())
        own_count += sum(own.values())
        other_count += sum(other.values())
    return shared / max(own_count, other_count) if shared else 0.0


def meteor(words: Words, reference: Words) -> float:
    """METEOR of equal words: no stems and synonyms, for which there is a dictionary in English only (Lavie and Agarwal 2007)."""
    places = _alignment(words, reference)
    if not places:
        return 0.0
    precision, recall = len(places) / len(words), len(places) / len(reference)
    mean = precision * recall / (METEOR_ALPHA * precision + (1 - METEOR_ALPHA) * recall)
    chunks = 1 + sum(
        (own, other) != (before[0] + 1, before[1] + 1) for before, (own, other) in pairwise(places)
    )
    return mean * (1 - METEOR_GAMMA * math.pow(chunks / len(places), METEOR_BETA))


def _alignment(words: Words, reference: Words) -> list[tuple[int, int]]:
    """Pairs of places of equal words, each place once; a word goes on in the reference where the one before it ended, if it can."""
    free: dict[str, set[int]] = {}
    for place, word in enumerate(reference):
        free.setdefault(word, set()).add(place)
    pairs: list[tuple[int, int]] = []
    for own, word in enumerate(words):
        places = free.get(word)
        if not places:
            continue
        following = pairs[-1][1] + 1 if pairs else 0
        place = following if following in places else min(places)
        places.remove(place)
        pairs.append((own, place))
    return pairs


def _grams(words: Words, length: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(length)), strict=False))


def _f_score(shared: int, own: int, other: int) -> float:
    return 2 * shared / (own + other) if shared else 0.0
