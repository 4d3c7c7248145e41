"""Do two prompts that read nearly alike ask different things? `What's the capital of Norway?` gives nothing away about Germany's."""

import re
from difflib import SequenceMatcher

from rapidfuzz import fuzz

from harness.records import Case, Suite
from harness.texts import fold

TELLING = frozenset({"contains", "exact_match", "label", "label_model", "number"})
"""Scorers whose cases expect a text that a good answer is, or holds."""
LEAST_LIKENESS = 60.0
"""Percent of characters shared by the two spellings of one word; two words that share fewer are different words."""
_WORD = re.compile(r"\w+")


def expected_text(suite: Suite, case: Case) -> str | None:
    """What a good answer to a case is or holds; None where that is not one text."""
    is_told = any(spec.type in TELLING for spec in suite.scorers)
    return case.expected if is_told and isinstance(case.expected, str) and case.expected.strip() else None


def gives_away(answer: str, expected: str) -> bool:
    """Whether an answer has, as whole words where words have spaces between them, what is expected of another."""
    wanted = fold(expected)
    start, end = (r"\b" if edge.isascii() and edge.isalnum() else "" for edge in (wanted[0], wanted[-1]))
    return re.search(start + re.escape(wanted) + end, fold(answer)) is not None


def is_reworded(prompt: str, other: str) -> bool:
    """Whether a prompt is another one in other words: words added, left out or spelled differently, none put in place of another."""
    words, others = (_WORD.findall(fold(text)) for text in (prompt, other))
    steps = SequenceMatcher(a=words, b=others, autojunk=False).get_opcodes()
    return all(
        fuzz.ratio(" ".join(words[start:end]), " ".join(others[first:last])) >= LEAST_LIKENESS
        for step, start, end, first, last in steps
        if step == "replace"
    )
