import json
from pathlib import Path

import pytest

from harness.dataset.checking import seen_rows
from harness.dataset.findings import Finding
from harness.dataset.lines import read_lines
from harness.dataset.quality.dirt import DirtTally
from harness.dataset.tallies import Setting

CLEAN = "Your parcel is on its way and arrives on Thursday."


def dirt(path: Path, *answers: str, cut: int = 0) -> dict[str, Finding]:
    rows = [
        {"messages": [{"role": "user", "content": "Ã© <div>"}, {"role": "assistant", "content": answer}]}
        for answer in answers
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = DirtTally(), DirtTally()
    for number, row in enumerate(seen_rows(read_lines(path), model="gpt-4o-mini")):
        (first if number < cut else second).add(row)
    first.merge(second)
    setting = Setting(path=path, model="gpt-4o-mini")
    return {finding.name: finding for finding in first.findings(setting)}


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("The cafÃ© doesnâ€™t open today.", "mojibake"),
        ("РџСЂРёРІРµС‚, РјРёСЂ", "mojibake"),
        ("订单锟斤拷已发货", "mojibake"),
        ("A zero\u200bwidth space.", "invisible_characters"),
        ("A lost \ufffd character.", "invisible_characters"),
        ("<div class='x'>Hello</div>", "markup_remnants"),
        ("Fish&nbsp;and chips.", "markup_remnants"),
        ("As an AI language model, I have no taste.", "teacher_remnants"),
        ("I am ChatGPT, trained by OpenAI.", "teacher_remnants"),
        ("<think>hm</think> Yes.", "teacher_remnants"),
        ("作为一个人工智能语言模型，我没有看法。", "teacher_remnants"),
        ("and so on " * 60 + ".", "loops"),
    ],
)
def test_each_kind_of_dirt_is_seen_in_answers_alone(tmp_path: Path, answer: str, name: str) -> None:
    found = dirt(tmp_path / "a", CLEAN, answer)
    assert list(found) == [name]
    assert (found[name].count, found[name].lines) == (1, (2,))


@pytest.mark.parametrize(
    "answer",
    [
        "Der Käse schmeckt für 5 € gut – „naïve“ Frage…",
        "你好，世界！",
        "x < 5 and y > 3",
        "👨‍👩‍👧 is one emoji",
        "a\tb\r\nc",
        "naïve façade Øre æble",
    ],
)
def test_good_text_of_any_language_is_clean(tmp_path: Path, answer: str) -> None:
    assert dirt(tmp_path / "a", answer) == {}


def test_cut_answers_are_told_where_the_others_end_like_sentences(tmp_path: Path) -> None:
    cut = "Your parcel is on its way and arrives on Thursday at the"
    found = dirt(tmp_path / "a", *[CLEAN] * 30, cut, *["label"] * 5)
    assert (found["cut_answers"].count, found["cut_answers"].lines) == (1, (31,))
    assert dirt(tmp_path / "a", *[CLEAN] * 5, *[cut] * 5) == {}


def test_parts_merged_are_the_whole(tmp_path: Path) -> None:
    answers = [CLEAN, "<br>", "cafÃ©", "<br>"] * 20
    for cut in (1, 33, 79):
        assert dirt(tmp_path / "a", *answers, cut=cut) == dirt(tmp_path / "a", *answers)
