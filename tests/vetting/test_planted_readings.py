"""The readings hold what docs/badcases.md says of them, on a part of the benchmark."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import badcases as benchmark

LEAST = 0.8


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("labels", [True, False], ids=["labels", "facts"])
def test_planted_gaps_and_conflicts_are_told(language: str, labels: bool) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for seed in (1, 2):
        seen += benchmark.read(*benchmark.plant(language, kept=0.8, labels=labels, seed=seed))
    for reading in benchmark.READINGS:
        hits = seen[reading, reading]
        read = sum(count for (_, given), count in seen.items() if given == reading)
        planted = sum(count for (truth, _), count in seen.items() if truth == reading)
        assert hits >= LEAST * read > 0, (reading, seen)
        assert hits >= LEAST * planted > 0, (reading, seen)


def test_rows_without_a_common_word_are_not_found() -> None:
    """What the guide warns of: should this ever fail, the guide is to be rewritten."""
    seen = benchmark.read(*benchmark.plant("en", kept=None, labels=True, seed=1))
    assert seen["taught", "gap"] > seen["taught", "taught"]
