"""docs/advice.md is the table of rules: the same rules, in the same order, with the same words and numbers."""

import re
from pathlib import Path
from typing import get_args

from harness.advice import RULES, answers, epochs, light_check, sightings, training_rows
from harness.advice.rules import Action
from harness.texts import diversity
from harness.verdict.settling import FAR

GUIDE = (Path(__file__).parents[2] / "docs" / "advice.md").read_text(encoding="utf-8")

NUMBERS = (
    (f"{FAR}", "times the answers of now at most, or training again is the better bet"),
    (f"{epochs.MEMORISED_LOSS:g}", "training loss below which rows are known by heart, nats a token"),
    (f"{epochs.MANY_EPOCHS}", "epochs after which that counts"),
    (f"{epochs.LOW_LOSS:g}", "validation loss below which they were learned, not learned by heart"),
    (f"{epochs.ALIKE:.0%}".replace("%", " %"), f"of the training loss, or {epochs.ALIKE_NATS:g}: so near is alike"),
    (f"{epochs.LEAST_FALL:.0%}".replace("%", " %"), "of its start: a training loss that fell by less has hardly been learned from"),
    (f"{epochs.FEWEST_RECITALS}", "cases more in which training rows are recited"),
    (f"{epochs.VALIDATION_ROWS}", "rows of a validation file"),
    (f"{100 * training_rows.LEAST_REFUSALS:g}", "points more refusals"),
    (f"{sightings.LEAST_FAILING:.0%}".replace("%", " %"), "of a kind's cases: fewer failures are no reason to train otherwise"),
    (f"{answers.FEWEST_OF_A_KIND}", "cases of a kind (a tag, an expected label) at least, to stand out"),
    (f"{answers.CHANCE:.0%}".replace("%", " %"), "chance that a kind of any suite stands out by itself, shared among its kinds"),
    (f"{diversity.LEAST_LOSS:.0%}".replace("%", " %"), "of the base's different word pairs: a smaller loss of variety is left alone"),
    (f"{diversity.FEWEST_PROMPTS}", "prompts answered in free text, to compare variety at all"),
)  # fmt: skip


def rule_rows() -> list[str]:
    """The table of rules as the guide has it."""
    return [
        f"| `{rule.name}` | {rule.about} | {rule.when} | `{rule.action}` | {rule.source} |" for rule in RULES
    ]


def rows_below(heading: str) -> list[str]:
    """The rows of the table below a heading."""
    section = GUIDE.split(heading, 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\|.*\|$", section, re.MULTILINE)[2:]


def test_the_guide_has_every_rule_in_the_order_of_the_code() -> None:
    assert rows_below("## The rules") == rule_rows()


def test_the_guide_has_the_numbers_of_the_code() -> None:
    assert rows_below("## The numbers in them") == [f"| {value} | {words} |" for value, words in NUMBERS]


def test_the_guide_has_every_action() -> None:
    told = re.findall(r"^\| `(\w+)` \| [a-z]", GUIDE.split("## The rules", 1)[0], re.MULTILINE)
    assert sorted(told) == sorted(get_args(Action))


def test_the_guide_says_what_is_compared_of_answers_and_files() -> None:
    assert f"under {diversity.FEWEST_WORDS} words" in GUIDE
    assert f"same number of words, {diversity.MOST_WORDS} at most" in GUIDE
    assert f"a {100 * diversity.TWO_SIDED:.0f} % interval" in GUIDE
    assert light_check.MOST_BYTES == 10**6
    assert "a file over 1 MB" in GUIDE
    assert f"`{light_check.DATA_SIGHT}`" in GUIDE
