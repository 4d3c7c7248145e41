import gzip
import json
import random
from collections import defaultdict
from pathlib import Path

import pytest

from harness.texts.diversity import (
    FEWEST_PROMPTS,
    LEAST_LOSS,
    DiversityShift,
    diversity_shift,
    is_free_text,
)

SHARED = Path(__file__).parents[2].parent / "shared/data/refusals/refusal_dev.jsonl.gz"
ENGLISH = [f"word{number}" for number in range(400)]
CHINESE = [chr(0x4E00 + number) for number in range(400)]
GREETING = {
    "en": "thank you for your message we are happy to help you with",
    "zh": "感谢您的来信我们很高兴为您解决这个问题",
}


def answers(
    language: str, *, prompts: int, seed: int, words: int = 40, greeted: bool = False
) -> list[tuple[str, ...]]:
    """Random words of a vocabulary, the frequent ones more often; with the same beginning each where greeted."""
    draw = random.Random(seed)
    vocabulary, joint = (CHINESE, "") if language == "zh" else (ENGLISH, " ")
    texts = []
    for _ in range(prompts):
        said = [vocabulary[int(len(vocabulary) * draw.random() ** 2)] for _ in range(words)]
        texts.append((f"{GREETING[language]}{joint}{joint.join(said)}" if greeted else joint.join(said),))
    return texts


def shift(base: list[tuple[str, ...]], candidate: list[tuple[str, ...]]) -> DiversityShift:
    found = diversity_shift(base, candidate)
    assert found is not None
    return found


@pytest.mark.parametrize("language", ["en", "zh"])
def test_answers_that_all_begin_alike_have_lost_diversity(language: str) -> None:
    found = shift(answers(language, prompts=60, seed=1), answers(language, prompts=60, seed=2, greeted=True))
    assert found.is_lost
    assert found.distinct_2.high < 0 < found.compression.low
    assert found.prompts == 60


@pytest.mark.parametrize("language", ["en", "zh"])
def test_diversity_that_was_gained_is_not_lost(language: str) -> None:
    found = shift(answers(language, prompts=60, seed=2, greeted=True), answers(language, prompts=60, seed=1))
    assert not found.is_lost
    assert found.distinct_2.low > 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_model_against_itself_seldom_loses_diversity(language: str) -> None:
    """90 % intervals miss zero now and then; a loss of a tenth is another matter."""
    missed = lost = 0
    for seed in range(40):
        found = shift(
            answers(language, prompts=30, seed=2 * seed), answers(language, prompts=30, seed=2 * seed + 1)
        )
        missed += not found.distinct_2.low <= 0 <= found.distinct_2.high
        lost += found.is_lost
    assert missed <= 9  # of 40, 4 are expected
    assert lost == 0


def test_the_interval_holds_the_loss_that_many_such_models_show() -> None:
    """Prompts drawn with replacement repeat themselves: their interval never does, it sees two thirds of the loss."""
    found = [
        shift(
            answers("en", prompts=40, seed=2 * seed),
            answers("en", prompts=40, seed=2 * seed + 1, greeted=True),
        )
        for seed in range(30)
    ]
    truth = sum(one.distinct_2.difference for one in found) / len(found)
    assert (
        sum(one.distinct_2.low <= truth <= one.distinct_2.high for one in found) >= 23
    )  # 27 of 30 are expected


def test_shorter_answers_are_not_less_varied() -> None:
    """Uncut, the share of distinct pairs falls with length: the longer answers would look poorer."""
    long, short = answers("en", prompts=60, seed=1, words=38), answers("en", prompts=60, seed=2, words=12)
    found = shift(short, long)
    assert found.words == 12
    assert abs(found.distinct_2.difference) < LEAST_LOSS * found.distinct_2.base
    assert not found.is_lost


def test_the_same_answers_are_equally_varied() -> None:
    same = answers("en", prompts=30, seed=5)
    found = shift(same, same)
    assert found.distinct_2.difference == 0
    assert found.compression.low == found.compression.high == 0


def test_equal_seeds_give_equal_intervals_and_others_nearly_the_same() -> None:
    base, candidate = answers("en", prompts=50, seed=1), answers("en", prompts=50, seed=2, greeted=True)
    assert diversity_shift(base, candidate) == diversity_shift(base, candidate)
    other = diversity_shift(base, candidate, seed=1)
    assert other is not None
    assert other.distinct_2.low == pytest.approx(shift(base, candidate).distinct_2.low, abs=0.02)


@pytest.mark.parametrize(
    "text",
    [
        "billing",
        "退款",
        '{"city": "Rome", "days": 3, "hotel": null, "people": 2, "children": 0}',
        "[1, 2, 3, 4, 5, 6, 7, 8, 9]",
        "```python\nprint('one two three four five six seven eight nine')\n```",
        "<b>one two three four five six seven eight</b>",
        "The answer is 42.",
        "",
    ],
)
def test_labels_data_code_and_short_answers_are_no_free_text(text: str) -> None:
    assert not is_free_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "Dear customer, thank you for writing to us about your invoice.",
        "您好，您的退款已经在处理中，请您耐心等待。",
        "[1] is where the source says so, and nobody has ever doubted it.",
    ],
)
def test_letters_and_sentences_are_free_text(text: str) -> None:
    assert is_free_text(text)


def test_labels_lose_no_diversity() -> None:
    base = answers("en", prompts=60, seed=1)
    assert diversity_shift(base, [("billing",)] * 60) is None


def test_too_few_prompts_say_nothing() -> None:
    base, candidate = answers("en", prompts=40, seed=1), answers("en", prompts=40, seed=2)
    few = FEWEST_PROMPTS - 1
    assert diversity_shift(base[:few], candidate[:few]) is None
    assert diversity_shift(base[: few + 1], candidate[: few + 1]) is not None


def test_answers_in_another_script_are_not_compared() -> None:
    assert diversity_shift(answers("en", prompts=40, seed=1), answers("zh", prompts=40, seed=2)) is None


def test_trials_count_and_prompts_are_drawn_whole() -> None:
    """A model that says the same at every trial is less varied than one that does not."""
    base = [
        (*one, *other)
        for one, other in zip(*(answers("en", prompts=40, seed=seed) for seed in (1, 2)), strict=True)
    ]
    candidate = [(one[0], one[0]) for one in answers("en", prompts=40, seed=3)]
    found = shift(base, candidate)
    assert found.is_lost
    assert found.prompts == 40


def test_hostile_texts_are_read() -> None:
    odd = "\ud800 \x00 " + "ſ" * 300 + " one two three four five six seven eight nine"
    assert (
        diversity_shift([(odd,)] * 25, [("one two three four five six seven eight " * 99,)] * 25) is not None
    )


@pytest.mark.skipif(not SHARED.is_file(), reason="real answers are not beside the project")
def test_the_order_of_real_models_is_that_of_equal_length() -> None:
    """Both measures agree on three pairs of real models; a tenth less varied is one of them."""
    said: dict[str, dict[str, str]] = defaultdict(dict)
    with gzip.open(SHARED, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if row["source"] in {"xstest", "dna"}:
                said[row["source"] + row["prompt"]][row["model"]] = row["response"]

    def between(base: str, candidate: str) -> DiversityShift:
        both = [models for models in said.values() if base in models and candidate in models]
        return shift([(models[base],) for models in both], [(models[candidate],) for models in both])

    assert between("llama2new", "llama2orig").is_lost
    assert not between("llama2new", "mistralguard").is_lost
    assert not between("ChatGLM2", "vicuna-7b").is_lost
