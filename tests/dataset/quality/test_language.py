import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dataset.checking import seen_rows
from harness.dataset.findings import Finding
from harness.dataset.lines import read_lines
from harness.dataset.quality import language
from harness.dataset.quality.language import LanguageTally, script_of
from harness.dataset.tallies import Setting

CHINESE = ("请问我的包裹什么时候能够送到？", "您的包裹正在路上，预计星期四送达。")
ENGLISH = (
    "Could you tell me please when the parcel that I ordered last week will arrive?",
    "Your parcel is on its way and should be with you on Thursday, before noon.",
)
GERMAN = (
    "Können Sie mir bitte sagen, wann das Paket ankommt, das ich letzte Woche bestellt habe?",
    "Ihr Paket ist unterwegs und sollte am Donnerstag noch vor dem Mittag bei Ihnen sein.",
)


def language_findings(
    path: Path, rows: list[tuple[str, str]], *cuts: int, system: str = ""
) -> dict[str, Finding]:
    lines = (
        {
            "messages": [
                *([{"role": "system", "content": system}] if system else []),
                {"role": "user", "content": asked},
                {"role": "assistant", "content": answer},
            ]
        }
        for asked, answer in rows
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, *later = [LanguageTally() for _ in range(len(cuts) + 1)]
    for number, row in enumerate(seen_rows(read_lines(path), model="gpt-4o-mini")):
        [first, *later][sum(number >= cut for cut in cuts)].add(row)
    for part in later:
        first.merge(part)
    return {found.name: found for found in first.findings(Setting(path=path, model="gpt-4o-mini"))}


@pytest.mark.parametrize(
    ("text", "script"),
    [
        (CHINESE[0], "Chinese"),
        ("荷物はいつ届きますか", "Japanese"),
        ("소포는 언제 도착하나요", "Korean"),
        ("Когда придёт посылка?", "Cyrillic"),
        ("متى يصل الطرد الخاص بي؟", "Arabic"),
        ("Πότε θα φτάσει το δέμα;", "Greek"),
        ("Wann kommt das Päckchen?", "Latin"),
        ("请问我的 iPhone 15 Pro 订单在 Amazon 上什么时候发货呢", "Chinese"),
        ("用 `SELECT name FROM customers WHERE id = 3` 就可以查到", "Chinese"),
        ("见 https://example.org/a/very/long/address/of/a/page 这里有所有内容", "Chinese"),
        ("ok", None),
        ("", None),
        ("12 + 30 = 42", None),
        ("一半中文一半中文 half of it is English text", None),
        ("\ud800 a lone half is no letter", "Latin"),
    ],
)
def test_the_script_of_a_text_is_that_of_nearly_all_its_letters(text: str, script: str | None) -> None:
    assert script_of(text) == script


def test_an_answer_in_another_script_is_told(tmp_path: Path) -> None:
    rows = [CHINESE] * 20 + [(CHINESE[0], ENGLISH[1]), ("Когда придёт посылка?", ENGLISH[1])]
    found = language_findings(tmp_path / "a", rows)
    assert list(found) == ["wrong_script"]
    assert (found["wrong_script"].count, found["wrong_script"].lines) == (2, (21, 22))
    assert "Chinese to Latin 1, Cyrillic to Latin 1" in found["wrong_script"].what


def test_an_answer_in_another_language_of_latin_script_is_told(tmp_path: Path) -> None:
    found = language_findings(tmp_path / "a", [ENGLISH] * 10 + [GERMAN] * 10 + [(GERMAN[0], ENGLISH[1])])
    assert list(found) == ["wrong_language"]
    assert (found["wrong_language"].count, found["wrong_language"].lines) == (1, (21,))
    assert "de to en 1" in found["wrong_language"].what


def test_good_data_of_many_languages_says_nothing(tmp_path: Path) -> None:
    assert language_findings(tmp_path / "a", [CHINESE, ENGLISH, GERMAN] * 8) == {}


def test_a_file_that_translates_says_nothing(tmp_path: Path) -> None:
    rows = [(CHINESE[0], ENGLISH[1]), (GERMAN[0], ENGLISH[1])] * 8
    assert language_findings(tmp_path / "a", rows) == {}


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (f"Translate: {ENGLISH[0]}", CHINESE[1]),
        (f"{CHINESE[0]}\n请翻译上面的话", ENGLISH[1]),
        (f"{CHINESE[0]}请用英文回答。", ENGLISH[1]),
        (f"{GERMAN[0]} Answer in English.", ENGLISH[1]),
        (f"Übersetze das: {GERMAN[0]}", ENGLISH[1]),
    ],
)
def test_who_asks_for_a_language_may_get_it(tmp_path: Path, asked: str, answer: str) -> None:
    assert language_findings(tmp_path / "a", [CHINESE] * 20 + [ENGLISH] * 20 + [(asked, answer)]) == {}


def test_an_instruction_may_ask_for_a_language_too(tmp_path: Path) -> None:
    rows = [CHINESE] * 20 + [(CHINESE[0], ENGLISH[1])]
    assert language_findings(tmp_path / "a", rows, system="Reply in English when asked in the evening.") == {}
    assert "wrong_script" in language_findings(tmp_path / "a", rows, system="Be brief.")


def test_of_many_rows_a_sample_is_looked_at_and_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language, "SAMPLED_ROWS", 20)
    rows = [(GERMAN[0], ENGLISH[1]) if number % 8 == 0 else ENGLISH for number in range(80)]
    found = language_findings(tmp_path / "a", rows)["wrong_language"]
    assert "of 20 that were looked at" in found.what
    assert found.figures["judged"] == 20
    assert 1 <= found.count == len(found.lines) <= 4


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.sampled_from([CHINESE, ENGLISH, GERMAN, (CHINESE[0], ENGLISH[1]), (GERMAN[0], ENGLISH[1])]),
        max_size=60,
    ),
    st.lists(st.integers(0, 60), max_size=3).map(sorted),
)
def test_parts_merged_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], cuts: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "languages.jsonl"
    assert language_findings(path, rows, *cuts) == language_findings(path, rows)


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_any_text_has_a_script_or_none(text: str) -> None:
    assert script_of(text) is None or isinstance(script_of(text), str)
