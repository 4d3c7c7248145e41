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
