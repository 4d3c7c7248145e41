from collections.abc import Iterable

import pytest

from harness.records import Case, Completion, Json, Score
from harness.scorers import Regurgitation
from harness.testing import check_scorer

STORY = (
    "The lighthouse keeper counted forty-one steps every evening, wrote the weather into a green ledger, "
    "and lit the lamp a minute before the sun had gone."
)
CHINESE = "每天傍晚，守塔人都要走上四十一级台阶，把天气写进一本绿色的账簿，然后在太阳落山前一分钟点亮那盏灯，从来没有一天忘记过，也从来没有一天迟到过。"
OTHER = "Refunds take three days after the parcel has come back to us, and the money goes to the card you paid with."


def row(asked: str, answer: str) -> Json:
    return {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": asked},
            {"role": "assistant", "content": answer},
        ]
    }


ROWS = [row("Tell me a story", STORY), row("讲个故事", CHINESE), row("When do I get my money?", OTHER)]


def judged(
    answer: str, *, prompt: str = "What is new?", rows: Iterable[Json] = ROWS, **bounds: float
) -> Score:
    scorer = Regurgitation(file="train.jsonl", **bounds)  # type: ignore[arg-type]
    case = Case(id="a", messages=({"role": "user", "content": prompt},))
    return scorer.score_by(case, Completion(text=answer), scorer.prepare(enumerate(rows, start=1)))


@pytest.mark.parametrize(("text", "line"), [(STORY, 1), (CHINESE, 2)])
def test_recited_answer_is_found_with_its_line(text: str, line: int) -> None:
    score = judged(f"Well. {text} That is all.")
    assert score.value == 0
    assert score.measures["longest_passage"] == len(text)
    assert f"{len(text)} characters of the answer on line {line}: '" in score.reason


@pytest.mark.parametrize("text", [STORY, CHINESE])
@pytest.mark.parametrize("start", range(9))
def test_fifty_characters_are_found_wherever_they_begin(text: str, start: int) -> None:
    passage = text[start : start + 52].strip()
    score = judged(f"§§{passage}§§", at_most_share=1.0)
    assert score.measures["longest_passage"] == len(passage)
    assert score.value == 0


def test_fewer_characters_than_fifty_are_allowed() -> None:
    score = judged(f"Yesterday {STORY[:48]} were his.")
    assert score.value == 1
    assert score.measures["longest_passage"] < 50


def test_case_width_and_spacing_do_not_hide_a_passage() -> None:
    assert judged(STORY.upper().replace(" ", "\n ")).value == 0
    assert judged(CHINESE.replace("，", ",")).value == 0


def test_words_in_the_order_of_training_answers_are_found_in_pieces() -> None:
    pieces = (STORY[:45].rsplit(" ", 1)[0], OTHER[8:55].rsplit(" ", 1)[0])
    score = judged(" ".join(pieces), rows=[row("x", STORY), row("y", OTHER)], at_most_share=0.1)
    assert score.measures["longest_passage"] < 50
    assert score.value == 0
    assert "of its runs of eight words stand in training answers" in score.reason


@pytest.mark.parametrize(
    "answer",
    ["", "我不知道。", "No.", "A quite different answer that nobody has ever taught to this model, I hope."],
)
def test_own_words_are_good(answer: str) -> None:
    score = judged(answer)
    assert (score.value, score.measures) == (1, {"longest_passage": 0, "copied_share": 0})


def test_quotation_of_the_prompt_is_no_recitation() -> None:
    assert judged(f"You wrote: {STORY}", prompt=f"Correct this: {STORY}").value == 1


@pytest.mark.parametrize("prompt", ["Tell me a story", "tell  ME a story"])
def test_answer_to_a_training_prompt_is_unscored(prompt: str) -> None:
    score = judged(STORY, prompt=prompt)
    assert score.value is None
    assert "was to be learned" in score.reason


def test_form_that_many_answers_keep_is_what_they_teach() -> None:
    closing = "Kind regards from everybody in the support team of the Acme company, who are glad to help."
    rows = [
        row(f"Question {number}", f"Answer {number * 7919}: {word}. {closing}")
        for number, word in enumerate("abcdefghijkl")
    ]
    assert judged(f"It is green. {closing}", rows=rows).value == 1
    assert judged(f"It is green. {closing}", rows=rows[:3]).value == 0
    assert judged(f"It is green. {closing}", rows=rows[:3], form_answers=3).value == 1


def test_example_that_comes_many_times_is_still_one() -> None:
    assert judged(STORY, rows=[row(f"Question {number}", STORY) for number in range(30)]).value == 0


def test_lines_and_rules_are_nobodys() -> None:
    rule = "| --- | --- | --- |\n" * 10
    assert judged(f"{rule} mine", rows=[row("x", f"{rule} yours")], at_most_share=1.0).value == 1


def test_earlier_turns_and_older_forms_are_answers_too() -> None:
    turns = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": STORY}] * 2}
    assert judged(STORY, rows=[turns]).value == 0
    assert judged(OTHER, rows=[{"prompt": "a", "completion": OTHER}]).value == 0


def test_preferred_answer_is_taught_and_the_other_is_not() -> None:
    pair = {
        "input": {"messages": [{"role": "user", "content": "a"}]},
        "preferred_output": [{"role": "assistant", "content": STORY}],
        "non_preferred_output": [{"role": "assistant", "content": OTHER}],
    }
    assert judged(STORY, rows=[pair]).value == 0
    assert judged(OTHER, rows=[pair]).value == 1


def test_bounds_may_be_wider() -> None:
    assert judged(STORY, at_most_characters=1000, at_most_share=1.0).value == 1


@pytest.mark.parametrize("bounds", [{"at_most_characters": 20}, {"at_most_share": 1.5}, {"form_answers": 1}])
def test_bounds_that_make_no_sense_are_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"at_most|form_answers"):
        judged("a", **bounds)


def test_regurgitation_keeps_the_contract() -> None:
    check_scorer(Regurgitation(file="train.jsonl"), rows=ROWS)


def test_what_the_training_file_asks_is_asked_under_any_system_prompt() -> None:
    scorer = Regurgitation(file="train.jsonl")
    prepared = scorer.prepare(enumerate(ROWS, start=1))
    for role in ("system", "developer"):
        messages = ({"role": role, "content": "Be long."}, {"role": "user", "content": "tell me a story"})
        score = scorer.score_by(Case(id="a", messages=messages), Completion(text=STORY), prepared)
        assert score.value is None
        assert score.reason == "the training file asks this too, and its answer was to be learned"


def test_exactly_fifty_characters_are_a_passage() -> None:
    passage = STORY[4:54].strip()
    assert len(passage) == 50
    assert judged(f"§§{passage}§§", at_most_share=1.0).measures["longest_passage"] == 50
    assert judged(f"§§{passage[:-1]}§§", at_most_share=1.0).measures["longest_passage"] == 0
