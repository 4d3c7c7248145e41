import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dataset import nearest
from harness.dataset.coverage import TrainingPrompt, coverage_findings, coverage_of
from harness.dataset.leaks import SuitePrompt

TOPICS = {
    "parcel": ["parcel", "delivery", "courier", "address", "tracking", "depot", "customs"],
    "billing": ["invoice", "refund", "charged", "card", "payment", "receipt", "discount"],
}


def question(topic: list[str], number: int) -> str:
    generator = random.Random(f"{topic[0]} {number}")
    words = generator.sample(topic, 5)
    return (
        f"Please tell me about the {words[0]} and {words[1]} of my {words[2]}, the {words[3]} or {words[4]}."
    )


def training(count: int) -> list[TrainingPrompt]:
    topics = [*TOPICS.values()]
    return [
        TrainingPrompt(line=number + 1, text=question(topics[number % 2], number)) for number in range(count)
    ]


def case(name: str, text: str) -> SuitePrompt:
    return SuitePrompt(suite="tone", case=name, text=text)


def test_a_case_about_something_else_is_a_gap_and_one_like_a_row_is_not() -> None:
    rows = training(120)
    failing = [
        case("pets", "Which breed of hamster sleeps least, and why do goldfish forget everything?"),
        case("known", rows[40].text.replace("Please", "Kindly")),
    ]
    gap, near = coverage_findings(failing, rows)
    assert (gap.name, gap.count, gap.lines) == ("coverage_gap", 1, ())
    assert "1 of 2 failing cases is far" in gap.what
    assert "tone: pets" in gap.what
    assert (near.name, near.count, near.lines) == ("failing_near_training", 1, (41,))
    assert "tone: known (line 41, similarity" in near.what


def test_the_nearest_rows_are_those_of_a_full_comparison() -> None:
    rows = training(90)
    failing = [
        case(str(number), question([*TOPICS.values()][number % 2], 1000 + number)) for number in range(20)
    ]

    def grams(text: str) -> Counter[str]:
        padded = f" {text.lower()} "
        return Counter(padded[i : i + 4] for i in range(len(padded) - 3))

    shared = Counter(gram for row in rows for gram in {*grams(row.text)})

    def vector(text: str) -> dict[str, float]:
        weighted = {
            gram: (1 + math.log(count)) * (1 + math.log((1 + len(rows)) / (1 + shared[gram])))
            for gram, count in grams(text).items()
        }
        length = math.hypot(*weighted.values())
        return {gram: weight / length for gram, weight in weighted.items()}

    known = [vector(row.text) for row in rows]
    for covered in coverage_of(failing, rows):
        asked = vector(covered.prompt.text)
        full = [sum(weight * row.get(gram, 0.0) for gram, weight in asked.items()) for row in known]
        expected = sorted(full, reverse=True)[: len(covered.nearest)]
        assert [row.similarity for row in covered.nearest] == pytest.approx(expected, abs=5e-3)
        assert [full[row.line - 1] for row in covered.nearest] == pytest.approx(expected, abs=5e-3)


def test_cases_like_the_training_rows_are_rarely_far() -> None:
    failing = [
        case(str(number), question([*TOPICS.values()][number % 2], 5000 + number)) for number in range(200)
    ]
    far = [covered for covered in coverage_of(failing, training(300)) if covered.word == "far"]
    assert len(far) <= 1, "a twentieth is below the quantile, by chance"


def test_one_far_case_among_many_is_a_note_and_among_few_a_warning() -> None:
    pets = case("pets", "Which breed of hamster sleeps least, and why do goldfish forget everything?")
    alike = [case(str(number), question(TOPICS["parcel"], 5000 + number)) for number in range(40)]
    (many, *_) = coverage_findings([pets, *alike], training(300))
    (few, *_) = coverage_findings([pets, *alike[:3]], training(300))
    assert (many.count, many.level) == (1, "note")
    assert (few.count, few.level) == (1, "warning")


def test_a_template_that_all_rows_share_makes_nothing_near() -> None:
    template = "Read the ticket below with care and answer as the support team of the shop would: {}"
    rows = [TrainingPrompt(line=row.line, text=template.format(row.text)) for row in training(150)]
    (covered,) = coverage_of([case("pets", template.format("Which hamster sleeps least?"))], rows)
    assert covered.word == "far"
    assert not covered.nearest or covered.nearest[0].similarity < 0.3


def test_few_rows_or_no_failing_case_say_nothing() -> None:
    assert coverage_of([case("a", "x")], training(19)) == ()
    assert coverage_of([], training(40)) == ()
    assert list(coverage_findings([], [])) == []


def test_blocks_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [case(str(number), question(TOPICS["billing"], 700 + number)) for number in range(9)]
    whole = coverage_of(failing, training(130))
    monkeypatch.setattr(nearest, "_BLOCK_CHARACTERS", 700)
    monkeypatch.setattr(nearest, "_BLOCK_ASKED", 3)
    assert coverage_of(failing, training(130)) == whole


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text(max_size=30), min_size=1, max_size=4),
    st.lists(st.text(max_size=30), min_size=20, max_size=30),
)
def test_any_text_can_be_compared(asked: list[str], texts: list[str]) -> None:
    rows = [TrainingPrompt(line=number + 1, text=text) for number, text in enumerate(texts)]
    found = coverage_of([case(str(number), text) for number, text in enumerate(asked)], rows)
    assert len(found) == len(asked)
    assert all(0 < row.similarity <= 1.001 for covered in found for row in covered.nearest)
