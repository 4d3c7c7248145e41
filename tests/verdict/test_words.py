"""What every verdict says, held to the approved table; and what no sentence may say."""

import re
from pathlib import Path

import pytest

from harness.records import Verdict
from tests.verdict import scenarios

APPROVED = Path(__file__).with_name("words.txt")
NAMES = (*scenarios.SUITES, *scenarios.RUNS)
JARGON = (
    r"\bp[ =<]",
    r"\bp.?value",
    r"\bHolm\b",
    r"\baugmented\b",
    r"\bTango\b",
    r"\bcluster",
    r"\bt test\b",
    r"\bconfidence\b",
    r"\binterval\b",
    r"\bsignifican",
    r"\bnon-?inferior",
    r"\bnull\b",
    r"\bkappa\b",
    r"\balpha\b",
    r"\bstandard (error|deviation)\b",
    r"\bpower\b",
    r"\bnan\b",
    r"\bNone\b",
)


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    return dict(scenarios.verdicts())


def sentences(verdict: Verdict) -> tuple[str, ...]:
    return (verdict.summary, *verdict.reasons, *verdict.next_steps)


def test_every_verdict_says_what_was_approved(verdicts: dict[str, Verdict]) -> None:
    assert tuple(verdicts) == NAMES
    said = "\n\n".join(scenarios.spoken(name, verdict) for name, verdict in verdicts.items()) + "\n"
    approved = APPROVED.read_text(encoding="utf-8")
    assert said == approved, (
        "read the new words aloud, then: python -m tests.verdict.scenarios > tests/verdict/words.txt"
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_sentence_needs_a_statistician(name: str, verdicts: dict[str, Verdict]) -> None:
    for sentence in sentences(verdicts[name]):
        for word in JARGON:
            assert not re.search(word, sentence), f"{word}: {sentence}"


@pytest.mark.parametrize("name", NAMES)
def test_numbers_and_nouns_agree(name: str, verdicts: dict[str, Verdict]) -> None:
    for sentence in sentences(verdicts[name]):
        assert not re.search(
            r"(?<![\d.,])1 (cases|points|answers|requests|tokens|families|trials|conditions)\b", sentence
        )
        assert not re.search(
            r"(?<![\d.,])(0|[2-9]|\d\d+) (case|point|answer|request|token|family|trial|condition)\b", sentence
        )
        assert "  " not in sentence
        assert "-0 " not in sentence
        assert not re.search(r"\d{4,}", sentence), "thousands are parted"


@pytest.mark.parametrize("name", NAMES)
def test_bounds_and_differences_of_a_sentence_have_as_many_digits(
    name: str, verdicts: dict[str, Verdict]
) -> None:
    for sentence in sentences(verdicts[name]):
        found = re.search(r"by ([\d.]+) points? on .* \(likely ([-+\d.]+) to ([-+\d.]+)\)", sentence)
        if found:
            digits = {len(number.partition(".")[2]) for number in found.groups() if number != "0"}
            assert len(digits) == 1, sentence


@pytest.mark.parametrize("name", NAMES)
def test_the_first_sentence_says_what_to_do(name: str, verdicts: dict[str, Verdict]) -> None:
    verdict = verdicts[name]
    begins = {
        "promote": ("Ship it: ", "You can switch: "),
        "hold": ("Do not ship it: ", "Do not switch: "),
        "undecided": ("Not decided yet: ",),
    }
    assert verdict.summary.startswith(begins[verdict.outcome])
    assert verdict.summary.endswith(".")
    assert len(verdict.summary) <= 120


@pytest.mark.parametrize("name", NAMES)
def test_a_reason_is_said_once_and_an_open_verdict_says_what_next(
    name: str, verdicts: dict[str, Verdict]
) -> None:
    verdict = verdicts[name]
    assert len(set(verdict.reasons)) == len(verdict.reasons)
    assert len(set(verdict.next_steps)) == len(verdict.next_steps)
    if verdict.outcome == "undecided":
        assert verdict.next_steps or any(gate.decision == "undecided" for gate in verdict.gates)
