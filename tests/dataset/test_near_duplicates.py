import pickle
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dataset import near_duplicates
from harness.dataset.near_duplicates import Sketches, sketches_of

WORDS = [
    "refund",
    "invoice",
    "login",
    "error",
    "payment",
    "delivery",
    "order",
    "account",
    "password",
    "question",
]


def story(generator: random.Random, words: int = 40) -> str:
    return " ".join(generator.choice(WORDS) + str(generator.randrange(1000)) for _ in range(words))


def edited(text: str, generator: random.Random) -> str:
    """The text with about one word in twenty changed, dropped or doubled."""
    words: list[str] = []
    for word in text.split():
        chance = generator.random()
        words += (
            []
            if chance < 0.017
            else [word, word]
            if chance < 0.034
            else [word + "x"]
            if chance < 0.05
            else [word]
        )
    return " ".join(words)


def groups_of(texts: list[str]) -> list[list[int]]:
    sketches = Sketches()
    for text in texts:
        sketches.add(text)
    return sketches.groups(texts.__getitem__)


def test_planted_near_copies_are_found_and_strangers_are_not() -> None:
    generator = random.Random(5)
    originals = [story(generator) for _ in range(1000)]
    copies = [edited(text, generator) for text in originals[:300]]
    found = groups_of(originals + copies)
    pairs = {(group[0], member) for group in found for member in group[1:]}
    planted = {(number, 1000 + number) for number in range(300)}
    assert len(pairs & planted) / len(planted) >= 0.99
    assert len(pairs & planted) / len(pairs) >= 0.9


def test_case_width_and_white_space_make_no_difference() -> None:
    assert groups_of(["Where is   my ORDER?", "other text here", "where is my\norder？"]) == [[0, 2]]


def test_short_and_empty_texts_are_compared_whole() -> None:
    assert groups_of(["ja", "no", "ja", "", ""]) == [[0, 2], [3, 4]]


def test_chinese_texts_are_compared_by_their_characters() -> None:
    text = "外国人策动或者帮助中国公民投敌叛变的应当以投敌叛变罪的共犯论处具体的刑罚应根据其具体行为的性质情节来决定"
    assert groups_of([text, text.replace("来决定", "而决定"), "今天天气很好我们去公园散步吧"]) == [[0, 1]]


@pytest.mark.parametrize("size", [3, 2000])
def test_boilerplate_does_not_join_what_differs(size: int) -> None:
    texts = [f"Dear customer, thank you. {chr(97 + number % 26) * 80}" for number in range(26)] * (
        1 if size < 26 else 3
    )
    found = groups_of(texts)
    assert len(found) == (0 if size < 26 else 26)


def test_merged_sketches_are_those_of_one_reading() -> None:
    generator = random.Random(1)
    texts = [story(generator, 12) for _ in range(40)] * 2
    first, second = Sketches(), Sketches()
    for number, text in enumerate(texts):
        (first if number < 33 else second).add(text)
    first.merge(second)
    assert len(first) == 80
    assert first.groups(texts.__getitem__) == groups_of(texts)


@given(st.lists(st.text(max_size=40) | st.text(alphabet="ab", max_size=20_000), max_size=6))
def test_a_text_has_the_same_sketch_alone_and_in_company(texts: list[str]) -> None:
    alone = [sketches_of([text])[0].tolist() for text in texts]
    assert [sketch.tolist() for sketch in sketches_of(texts)] == alone


def test_a_sketch_of_few_bands_finds_what_shares_most_shingles() -> None:
    generator = random.Random(2)
    text = story(generator, 5000)
    longer = text[:60_000] + " appended to a text of several blocks"
    assert len(text) > 20_000
    one, other, stranger = sketches_of([text, longer, story(generator, 5000)])
    assert (one == other).sum() >= 8
    assert (one == stranger).sum() <= 1


def test_sketches_in_a_file_are_those_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(3)
    texts = [story(generator, 12) for _ in range(60)] * 2
    plain = groups_of(texts)
    monkeypatch.setattr(near_duplicates, "_TEXTS_IN_MEMORY", 16)
    monkeypatch.setattr(near_duplicates, "_WAITING_TEXTS", 5)
    assert groups_of(texts) == plain
    first, second = Sketches(), Sketches()
    for number, text in enumerate(texts):
        (first if number < 41 else second).add(text)
    first.merge(pickle.loads(pickle.dumps(second)))
    assert len(first) == len(texts)
    assert first.groups(texts.__getitem__) == plain
    assert second.matches(
        first, text_of=lambda index: texts[41 + index], other_text_of=texts.__getitem__
    ) == {index: (41 + index) % 60 for index in range(79)}
