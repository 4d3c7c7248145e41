import importlib.util

import pytest

from harness.errors import StorageError
from harness.texts import languages
from harness.texts.languages import LANGUAGES, Passage, is_in, languages_of, passages


def test_passages_are_stretches_of_one_script_without_code_and_addresses() -> None:
    text = "请看 `print(1)` 和 https://example.com/deutsch 的说明。Write to a@b.com, Москва!"
    assert [(one.script, " ".join(one.text.split())) for one in passages(text)] == [
        ("CJK", "请看 和 的说明"),
        ("Latin", "Write to"),
        ("Cyrillic", "Москва"),
    ]


def test_long_text_comes_in_passages_of_some_sentences() -> None:
    sentence = "This is one of many sentences that say nothing."
    found = list(passages(" ".join([sentence] * 10)))
    assert len(found) == 5
    assert all(one.letters >= 60 for one in found)


@pytest.mark.parametrize("text", ["", "42", "👍🏽 !?", "```\nnot one word\n```"])
def test_text_without_words_has_no_language(text: str) -> None:
    assert languages_of(text) == ()


def test_mixed_text_may_be_in_either_language() -> None:
    assert set(languages_of("Please translate this for me as soon as you can: 我想退款，应该怎么做？")) == {
        "en",
        "zh",
    }


def test_terms_in_a_text_of_another_script_are_no_language() -> None:
    assert languages_of("请解释 Transformer Architecture Search") == ("zh",)


def test_serbian_is_written_in_both_scripts() -> None:
    latin = Passage(
        script="Latin", text="Danas je lepo vreme i deca se igraju u parku ispred kuće", letters=48.0
    )
    cyrillic = Passage(
        script="Cyrillic", text="Данас је лепо време и деца се играју у парку испред куће", letters=48.0
    )
    assert is_in(latin, "sr")
    assert is_in(cyrillic, "sr")


def test_capitals_are_no_language_of_their_own() -> None:
    assert languages_of("YOU CAN ASK FOR A REFUND ON THE PAGE OF YOUR ORDERS") == ("en",)


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_is_written_in_some_script(code: str) -> None:
    assert any(
        is_in(Passage(script=script, text="", letters=0.0), code) is not False
        for script in languages._SCRIPTS
    )


def test_missing_model_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    languages._model.cache_clear()
    with pytest.raises(StorageError, match="language model is missing"):
        languages_of("a few words of English")
    languages._model.cache_clear()
