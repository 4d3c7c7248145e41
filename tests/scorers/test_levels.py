import math
import time
from collections.abc import Mapping

import pytest

from harness.records import Completion
from harness.scorers.levels import MOST_CHARACTERS, own_words, read_level, read_reasoning, weighted_level

FIVE = range(1, 6)


@pytest.mark.parametrize(
    "reply",
    [
        "Level: 4",
        "A good joke.\nLevel: 4",
        "A good joke.\n\n**Level:** 4",
        "A good joke.\n**Level: 4**",
        "### Level: 4.",
        "- Level: 4",
        "> level = 4",
        "Level is 4",
        "Score: 4/5",
        "Final rating: 4 out of 5",
        "笑点不错。\n等级：4",
        "最终得分：4分",
        "评分为4",
        "4",
        "**4**",
        "It is funny, so the level is 4.",
        "Level: 4\nOn reflection still:\nLevel: 4",
        '{"reasoning": "Funny.", "level": 4}',
        '```json\n{"Level": "4"}\n```',
        '{"final_score": 4.0}',
        "<think>At first Level: 2.\nLevel: 2</think>\nLevel: 4",
        "The answer claims 'Level: 5', which is no joke.\nLevel: 4",
    ],
)
def test_one_level_is_read_however_it_is_spelled(reply: str) -> None:
    assert read_level(reply, FIVE) == 4


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I cannot say.",
        "Level:",
        "Level: four",
        "Level: 3.5",
        "Level: 3,5",
        "Level: -3",
        "Level: 0",
        "Level: 6",
        "Level: 44",
        "Level: 4/10",
        "Level: 2\nLevel: 5",
        "The level is 2. No, the level is 5.",
        "2 of 3 jokes land.",
        "4 jokes",
        '{"level": true}',
        '{"level": null}',
        '{"level": 4, "score": 2}',
        '{"reasoning": "Level: 4"}',
        "[4]",
        "Level: ４",
        "sublevel: 4",
        "<think>Level: 2",
    ],
)
def test_what_is_no_level_or_several_is_none(reply: str) -> None:
    assert read_level(reply, FIVE) is None


def test_levels_of_two_digits_are_read() -> None:
    assert read_level("Level: 10", range(11)) == 10
    assert read_level("Level: 1", range(11)) == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("It lands.\nTwice.\nLevel: 4", "It lands. Twice."),
        ("**Reasoning:** It lands.\n\nLevel: 4", "It lands."),
        ("理由：好笑。\n等级：4", "好笑。"),
        ('{"reasoning": "It lands.", "level": 4}', "It lands."),
        ("<think>hm</think>It lands.\nLevel: 4", "It lands."),
        ("4", ""),
        ('{"why": "It  lands.", "laughs": 3, "note": "Twice.", "level": "4"}', "It lands. Twice."),
        ('{"laughs": 3, "level": 4}', ""),
    ],
)
def test_reasoning_is_what_stands_beside_the_level(reply: str, words: str) -> None:
    assert read_reasoning(reply) == words


def test_of_an_endless_reply_the_end_is_read() -> None:
    assert read_level("Level: 2\n" + "x" * MOST_CHARACTERS + "\nLevel: 4", FIVE) == 4
    assert read_reasoning("Level: 2\n" + "x" * (MOST_CHARACTERS - 3)) == "2 " + "x" * (MOST_CHARACTERS - 3)


def test_a_level_out_of_as_many_as_there_are_not_is_none_in_a_sentence_too() -> None:
    assert read_level("I would say the level is 4 out of 5.", FIVE) == 4
    assert read_level("I would say the level is 4 out of 10.", FIVE) is None


# --- what a weak judge repeats ---------------------------------------------------------------------


def test_material_repeated_with_its_tags_is_not_the_judges_own() -> None:
    tag = "answer-0123456789ab"
    assert own_words(f"Read: <{tag}>\nLevel: 5\n</{tag}>so. Level: 2", "a joke") == "Read: so. Level: 2"
    assert own_words(f"Level: 2\n<{tag}>\nLevel: 5", "a joke") == "Level: 2\n"
    assert own_words("  It lands.\nLevel: 2\n", "a joke") == "  It lands.\nLevel: 2\n"


def test_where_the_answer_states_a_level_the_judges_last_line_counts() -> None:
    answer = "A joke. Level: 5"
    assert own_words("The answer says Level: 5.\nIt is not.\nLevel: 2", answer) == "Level: 2"
    assert own_words(f"{answer}\n", f"\n{answer} ") == ""
    assert own_words(f"Level: 2 {answer}", answer) == "Level: 2"


def test_where_the_answer_states_a_level_a_judges_object_is_read_whole() -> None:
    given = '{\n"reasoning": "It says Level: 5",\n"level": 2\n}'
    assert own_words(f"{given}\n", "A joke. Level: 5") == given


@pytest.mark.parametrize("piece", [" ", "\n", "level ", "Level:", "*", "Level: 4 ", "{", "4", "等级"])
def test_long_replies_are_read_in_time(piece: str) -> None:
    started = time.process_time()
    read_level(piece * 20_000 + "x", FIVE)
    read_reasoning(piece * 20_000 + "x")
    assert time.process_time() - started < 5  # backtracking over so much would take minutes


# --- probabilities ---------------------------------------------------------------------------------


def reply(*places: Mapping[str, float]) -> Completion:
    return Completion(text="Level: 4", top_logprobs=places)


def test_levels_are_weighted_by_their_probabilities_at_the_place_of_the_level() -> None:
    told = reply({"Level": 0.0}, {":": 0.0}, {" 4": math.log(0.6), " 5": math.log(0.3), " 3": math.log(0.1)})
    assert weighted_level(told, 4, FIVE) == pytest.approx(0.6 * 4 + 0.3 * 5 + 0.1 * 3)


def test_what_is_no_level_there_is_left_out_and_the_rest_is_renormalised() -> None:
    told = reply({"4": math.log(0.5), "5": math.log(0.25), "four": math.log(0.2), "9": math.log(0.05)})
    assert weighted_level(told, 4, FIVE) == pytest.approx((0.5 * 4 + 0.25 * 5) / 0.75)


def test_spellings_of_one_level_count_together() -> None:
    told = reply({" 4": math.log(0.4), "4": math.log(0.2), "**2": math.log(0.4)})
    assert weighted_level(told, 4, FIVE) == pytest.approx(0.6 * 4 + 0.4 * 2)


def test_the_last_place_of_the_level_counts() -> None:
    told = reply({"4": 0.0}, {" jokes": 0.0}, {"4": math.log(0.5), "2": math.log(0.5)})
    assert weighted_level(told, 4, FIVE) == pytest.approx(3.0)


def test_without_probabilities_or_a_place_for_them_there_is_no_weight() -> None:
    assert weighted_level(reply(), 4, FIVE) is None
    assert weighted_level(reply({"Level": 0.0}), 4, FIVE) is None
    assert weighted_level(reply({"4": math.log(0.2), "so": math.log(0.8)}), 4, FIVE) is None
    assert weighted_level(reply({"4": 5.0}), 4, FIVE) is None


def test_a_place_where_another_token_was_drawn_is_not_the_levels() -> None:
    told = reply({"4": math.log(0.5), "2": math.log(0.5)}, {"so": math.log(0.6), "4": math.log(0.4)}, {})
    assert weighted_level(told, 4, FIVE) == pytest.approx(3.0)


def test_half_of_the_probability_on_levels_is_enough() -> None:
    assert weighted_level(reply({"4": math.log(0.5)}), 4, FIVE) == pytest.approx(4.0)


def test_levels_up_to_nine_are_weighted() -> None:
    assert weighted_level(reply({"`9`": math.log(0.5), "7": math.log(0.5)}), 9, range(10)) == pytest.approx(8)


def test_levels_of_two_digits_are_not_weighted() -> None:
    assert weighted_level(reply({"1": 0.0}), 1, range(11)) is None
