import pytest
from judging import judge

from harness.records import Case, Completion, Json
from harness.scorers import Language

LONG_ENGLISH = "You can ask for a refund on the page of your orders, and it takes three days."
LONG_CHINESE = "您可以在订单页面申请退款，一般三天之内到账，请您耐心等待。"


def asked(prompt: Json, **metadata: Json) -> Case:
    return Case(id="a", messages=({"role": "user", "content": prompt},), metadata=metadata)


def value(language: str, text: str) -> float | None:
    return judge(Language(language=language), text).value


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", LONG_ENGLISH),
        ("zh", LONG_CHINESE),
        ("zh-TW", "我們正在評估上海的三家供應商"),
        ("zh", "好的"),
        ("zh", "我用 React Native 和 World Health Organization 的 API 写了这个。"),
        (
            "zh",
            "可以这样写：\n```python\nfor number in range(10):\n    print('hello to everybody out there')\n```",
        ),
        ("ja", "東京は日本の首都です。"),
        ("ko", "네, 서울입니다"),
        ("de", "Die Lieferung kommt leider erst nächste Woche."),
        ("fr", "Bonjour tout le monde"),
        ("ru", "Москва — столица России"),
        ("uk", "Київ — столиця України, і тут живе багато людей"),
        ("ar", "القاهرة هي عاصمة جمهورية مصر العربية"),
        ("en", f"{LONG_ENGLISH} In Chinese you say 你好."),
        ("en", "See https://example.com/einige/woerter/auf/deutsch for the rest of it, please."),
    ],
)
def test_answer_in_its_language_is_right(language: str, text: str) -> None:
    assert value(language, text) == 1


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", LONG_CHINESE),
        ("en", "好的"),
        ("zh", LONG_ENGLISH),
        ("zh", "I'm sorry, but I can't help with that."),
        ("zh", "東京は日本の首都です。"),
        ("ja", LONG_CHINESE),
        ("en", "Die Lieferung kommt leider erst nächste Woche."),
        ("de", LONG_ENGLISH),
        ("ru", "Київ — столиця України, і тут живе багато людей"),
        ("fa", "القاهرة هي عاصمة جمهورية مصر العربية"),
    ],
)
def test_answer_in_another_language_is_wrong(language: str, text: str) -> None:
    assert value(language, text) == 0


@pytest.mark.parametrize("text", ["", "42", "OK", "Paris", "👍🏽", "`SELECT 1`", "```\nnot one word\n```"])
@pytest.mark.parametrize("language", ["zh", "pt", "ru"])
def test_answer_without_words_enough_is_unscored(language: str, text: str) -> None:
    assert value(language, text) is None


def test_names_alone_do_not_tell_a_language() -> None:
    assert value("zh", "iPhone Pro") is None
    assert value("ja", "東京") is None


def test_switching_in_the_middle_is_wrong_and_its_share_is_told() -> None:
    score = judge(Language(language="en"), f"{LONG_ENGLISH}\n{LONG_CHINESE}")
    assert score.value == 0
    assert 0.4 < score.measures["foreign_share"] < 0.6
    assert "Chinese, '您可以在订单页面" in score.reason


def test_a_share_may_be_foreign() -> None:
    half = f"{LONG_ENGLISH}\n{LONG_CHINESE}"
    assert judge(Language(language="en", at_most_foreign=0.7), half).value == 1


def test_switching_between_languages_of_one_script_is_seen() -> None:
    german = "Die Lieferung kommt leider erst nächste Woche, weil der Lieferant krank geworden ist."
    assert value("en", f"{LONG_ENGLISH} {german}") == 0


def test_prompt_says_the_language() -> None:
    scorer = Language(language="prompt")
    chinese = asked("我想退款，应该怎么做？")
    assert scorer.score(chinese, Completion(text=LONG_CHINESE)).value == 1
    assert scorer.score(chinese, Completion(text=LONG_ENGLISH)).value == 0
    short = asked("How do I kill a Python process?")
    assert scorer.score(short, Completion(text="Find its id, then run kill with it.")).value == 1


def test_prompt_in_parts_says_the_language() -> None:
    case = asked(
        [{"type": "text", "text": "这张图片里有什么？"}, {"type": "image_url", "image_url": {"url": "x"}}]
    )
    assert Language(language="prompt").score(case, Completion(text=LONG_ENGLISH)).value == 0


def test_prompt_of_two_languages_may_be_answered_in_either() -> None:
    case = asked(f"Please translate this for me, it is urgent and my customer waits: {LONG_CHINESE}")
    scorer = Language(language="prompt")
    assert [scorer.score(case, Completion(text=text)).value for text in (LONG_CHINESE, LONG_ENGLISH)] == [
        1,
        1,
    ]


def test_case_names_its_own_language() -> None:
    case = asked("Translate into French: good morning", language="fr")
    assert Language(language="prompt").score(case, Completion(text="Bonjour tout le monde")).value == 1
    assert judge(Language(), "Bonjour tout le monde", "fr").value == 1


def test_case_whose_language_nobody_can_tell_is_refused() -> None:
    assert "no words" in (Language(language="prompt").check_case(asked("1 + 1 = ?")) or "")
    assert "needs `expected`" in (Language().check_case(asked("hello")) or "")
    assert "did you mean" in (Language().check_case(asked("hello", language="enn")) or "")


@pytest.mark.parametrize("settings", [{"language": "klingon"}, {"at_most_foreign": 1.0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"no language|a share"):
        Language(**settings)  # type: ignore[arg-type]
