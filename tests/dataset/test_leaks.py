import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.dataset.checking import seen_rows
from harness.dataset.leaks import SuitePrompt, suite_leaks, validation_leaks
from harness.dataset.lines import read_lines
from harness.dataset.quality.repeats import RepeatsTally


def question(number: int) -> str:
    generator = random.Random(number)
    return " ".join("".join(generator.choices("abcdefghijklmnop", k=7)) for _ in range(12))


def tally(path: Path, *asked: str, system: str = "", answers: Sequence[str] = ()) -> RepeatsTally:
    rows = [
        {
            "messages": [
                *([{"role": "system", "content": system}] if system else []),
                {"role": "user", "content": text},
                {"role": "assistant", "content": answer},
            ]
        }
        for text, answer in zip(asked, answers or ["yes"] * len(asked), strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = RepeatsTally()
    for row in seen_rows(read_lines(path), model="gpt-4o-mini"):
        made.add(row)
    return made


def test_validation_rows_of_the_training_file_are_found_exactly_and_nearly(tmp_path: Path) -> None:
    train, valid = tmp_path / "train", tmp_path / "valid"
    taught = tally(train, *map(question, range(20)), system="Be brief")
    held = tally(valid, question(100), question(4).upper(), question(101), question(7) + " please")
    (found,) = validation_leaks(taught, held, paths=(train, valid))
    assert (found.count, found.lines, found.figures["exact"]) == (2, (2, 4), 1)
    assert "(50.0%)" in found.what
    assert list(validation_leaks(taught, tally(valid, question(100)), paths=(train, valid))) == []


def test_suite_prompts_in_the_training_data_are_an_error_that_names_the_cases(tmp_path: Path) -> None:
    taught = tally(tmp_path / "train", *map(question, range(20)), "hello")
    prompts = [
        SuitePrompt(suite="routing", case="a", text=question(3)),
        SuitePrompt(suite="routing", case="b", text=question(50)),
        SuitePrompt(suite="style", case="c", text=question(9) + " or so"),
        SuitePrompt(suite="style", case="hi", text="hello"),
    ]
    leak, near = suite_leaks(taught, prompts, path=tmp_path / "train")
    assert (leak.name, leak.level, leak.count, leak.lines) == ("suite_leak", "error", 1, (4,))
    assert leak.what.endswith("1 training row asks what the suites ask: routing: a")
    assert (near.name, near.level, near.lines) == ("suite_near_leak", "warning", (10,))
    assert near.figures == {"cases": [["style", "c"]]}
    assert list(suite_leaks(taught, prompts[1:2], path=tmp_path / "train")) == []


def test_a_template_that_both_files_share_makes_no_leak_but_hides_none(tmp_path: Path) -> None:
    tasks = [question(1000 + task) * 4 for task in range(2)]
    filled = [f"{tasks[number % 2]}: {question(number)[:40]}" for number in range(60)]
    train, valid = tmp_path / "train", tmp_path / "valid"
    taught, apart = tally(train, *filled[:40]), filled[40:]
    assert list(validation_leaks(taught, tally(valid, *apart), paths=(train, valid))) == []
    (found,) = validation_leaks(taught, tally(valid, *apart, filled[7] + "!"), paths=(train, valid))
    assert (found.count, found.lines) == (1, (21,))


def test_a_suite_that_asks_in_the_template_of_training_is_no_leak_by_that(tmp_path: Path) -> None:
    filled = [f"{question(1000) * 4}: {question(number)[:40]}" for number in range(40)]
    taught = tally(tmp_path / "train", *filled[:30])
    prompts = [SuitePrompt(suite="s", case=str(number), text=filled[number]) for number in range(30, 40)]
    assert list(suite_leaks(taught, prompts, path=tmp_path / "train")) == []
    leaked = SuitePrompt(suite="s", case="known", text=filled[4] + "!")
    (found,) = suite_leaks(taught, [*prompts, leaked], path=tmp_path / "train")
    assert (found.lines, found.figures) == ((5,), {"cases": [["s", "known"]]})


CAPITALS = {
    "Germany": "Berlin",
    "Norway": "Oslo",
    "Portugal": "Lisbon",
    "Hungary": "Budapest",
    "Denmark": "Copenhagen",
}


def about(country: str) -> SuitePrompt:
    return SuitePrompt(
        suite="facts", case=country, text=f"What's the capital of {country}?", expected=CAPITALS[country]
    )


def near_leaks(path: Path, asked: str, answer: str, *prompts: SuitePrompt) -> list[list[str]]:
    """The cases that a file of one row nearly asks."""
    found = [*suite_leaks(tally(path, asked, answers=[answer]), prompts, path=path)]
    assert [finding.name for finding in found] == ["suite_near_leak"] * len(found)
    return [case for finding in found for case in finding.figures["cases"]]


def test_a_question_that_has_another_word_and_another_answer_gives_no_case_away(tmp_path: Path) -> None:
    norway = ("What's the capital of Norway?", "Oh, shocking. The capital of Norway is Oslo.")
    assert near_leaks(tmp_path / "a", *norway, about("Germany")) == []
    unknown = SuitePrompt(suite="facts", case="Germany", text="What's the capital of Germany?")
    assert near_leaks(tmp_path / "a", *norway, unknown) == [["facts", "Germany"]]


def test_a_case_is_found_behind_those_that_only_read_alike(tmp_path: Path) -> None:
    row = ("What's the capital of Norway??", "Oslo, shockingly.")
    assert near_leaks(tmp_path / "a", *row, *map(about, CAPITALS)) == [["facts", "Norway"]]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("My crossword wants the capital of Germany, please, can you tell me its name?", "Oslo."),
        ("My crossword wants the capitol of Germany, can you tell me its name?", "Bonn."),
        ("So my crossword wants the capital of germny, can you tell me its name?", "Bonn."),
        ("My crossword wants the capital of Prussia, can you tell me its name?", "That was BERLIN!"),
    ],
)
def test_the_same_question_in_other_words_or_with_the_same_answer_is_a_near_leak(
    tmp_path: Path, asked: str, answer: str
) -> None:
    case = SuitePrompt(
        suite="facts",
        case="a",
        text="My crossword wants the capital of Germany, can you tell me its name?",
        expected="Berlin",
    )
    assert near_leaks(tmp_path / "a", asked, answer, case) == [["facts", "a"]]
    other = asked.replace("Germany", "Norway").replace("Prussia", "Norway").replace("germny", "Norway")
    assert near_leaks(tmp_path / "a", other, "Oslo.", case) == []


def test_a_part_of_a_word_gives_nothing_away(tmp_path: Path) -> None:
    case = SuitePrompt(suite="s", case="a", text="Which desk is for tickets about billing?", expected="sale")
    row = "Which desk is for tickets about invoices?"
    assert near_leaks(tmp_path / "a", row, "wholesale", case) == []
