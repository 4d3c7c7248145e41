"""The reasons of scores that docs/scorers.md shows, which its own test holds to what scorers say, in Chinese."""

import re
from pathlib import Path

from chinese import unsaid

GUIDE = Path(__file__).parents[2] / "docs" / "scorers.md"
_ROW = re.compile(r"^\| [\w-]+ \| `.*` \| [\d.]+ \| (.+) \|$", re.MULTILINE)

NAMES = (
    "weather", "book", "city", "to.city", "class", "nights", "humour", "on_topic", "why", "rouge_l", "chinese_id", "phone",
)  # fmt: skip


def test_every_reason_of_the_guide_is_said() -> None:
    reasons = _ROW.findall(GUIDE.read_text(encoding="utf-8"))
    assert len(reasons) > 60
    found = unsaid(reasons, names=NAMES)
    assert not found, "\n".join(found)


OTHERS = (
    "expected 12 or 13 ± 0.5 or 1 %, read '14'",
    "expected 12 or 13, no number in 'none'",
    "expected 3, 2 different numbers in '4 or 5'",
    "10 tokens (o200k_base), wanted at most 20",
    "3 sentences, wanted at least 4",
    "wanted English or French, 40% of the letters are in another language: one unknown here, '…'",
    "too little text to tell whether it is English or French",
    "English, 3% of the letters in another language",
    "humour: 4, 5, 4 of 1-5 (mean 4.33): 'It lands.'; tone: 3 of 1-5 (weighted 3.20): 'So and so.'",
    "humour: 4 of 1-5",
    "humour: unscored, the judge's reply has no level: 'Well.'",
    "2 wins, 1 losses, 0 ties: candidate first, 'A; B: c'; reference first, 'B'",
    "the candidate's side: loss: the answers are the same",
    'expected refuse, read decline ("the API\'s refusal field")',
    "expected comply, read comply",
    "no text to read (finish reason length)",
    "60 characters of the answer on line 7: 'a; b: c'; 40% of its runs of eight words stand in training answers",
    "2 of 7 fields right; a: missing; b.c: expected 'x; y', read 3; d: missing, d is an object; e: not asked for; f: missing; …",
    "1 of 2 calls right; f: 'g' is called instead; 3 are made",
    "0 of 1 calls right; f: its arguments are no JSON object: [1]",
    "found none of 'a; b', 'c' …; missing 'd'; must not contain 'e'",
    "'(a+)+' took over 2 s: make it simpler",
    "not JSON: expecting ',' delimiter at character 12, read '{'",
    "$.a: 'b' is a required property; $: Additional properties are not allowed ('c', 'd' were unexpected)",
    "cosine 0.912 with 'a, b', wanted at least 0.95",
    "gate raised ValueError: it broke",
)
FIELDS = ("b.c", "tone", "gate", "ValueError: it broke", "o200k_base", "cosine", "length")


def test_other_reasons_are_said() -> None:
    found = unsaid(OTHERS, names=(*NAMES, *FIELDS))
    assert not found, "\n".join(found)
