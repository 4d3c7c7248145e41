import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dataset.quality.facts import Source, facts_of, number_readings


def untold(answer: str, told: str) -> list[str]:
    source = Source(told)
    return [fact.shown for fact in facts_of(answer) if not source.tells(fact)]


@pytest.mark.parametrize(
    ("written", "readings"),
    [
        ("42", ("42",)),
        ("007", ("7",)),
        ("1,000", ("1000", "1")),
        ("12,345,678", ("12345678", "12345.678")),
        ("19.90", ("19.9",)),
        ("1.234,50", ("1234.5",)),
        ("3,5", ("3.5",)),
        ("2.0", ("2",)),
    ],
)
def test_a_number_is_read_as_people_write_it(written: str, readings: tuple[str, ...]) -> None:
    assert number_readings(written) == readings


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("It costs 1,000 euros.", "price: 1000"),
        ("It costs 1000 euros.", "price: 1.000,00"),
        ("It costs 19.9.", "It is 19.90 today"),
        ("订单有50件商品，共1000元。", "订单：５０件，１，０００元"),
        ("You have 25 days.", "You have twenty-five days."),
        ("共35天。", "一共三十五天。"),
        ("It is in Room 2024 then.", "room 2024"),
        ("Ask for Maria's desk.", "maria sits there"),
        ("We asked Müller.", "MÜLLER called"),
        ('It says "Save all changes".', "the button: save  ALL changes!"),
        ("根据《刑法》规定。", "刑法怎么说"),
        ("1. Open it\n2. Close it\n14) Done", ""),
        ("There are two, or 2, of 12.", ""),
        ("The PDF and the USB stick. Then we go. Thank you!", ""),
        ("We wrote back. Yours, I think.", ""),
    ],
)
def test_what_was_told_in_any_spelling_and_what_is_no_fact_is_not_untold(answer: str, told: str) -> None:
    assert untold(answer, told) == []


@pytest.mark.parametrize(
    ("answer", "told", "facts"),
    [
        ("It arrives on 14 March 2031.", "When does it arrive?", ["14", "2031", "March"]),
        ("It costs 1,200.", "The price was 1,000.", ["1,200"]),
        ("Ask for Maria Stone, please.", "Whom do I ask?", ["Maria", "Stone"]),
        ("Press “Reset the router”.", "Press what?", ["Reset the router"]),
        ("请点击“恢复出厂设置”，等待90秒。", "怎么办？", ["90", "恢复出厂设置"]),
    ],
)
def test_what_nobody_told_is_untold(answer: str, told: str, facts: list[str]) -> None:
    assert untold(answer, told) == facts


@given(st.text(), st.text())
def test_any_text_can_be_read(answer: str, told: str) -> None:
    assert set(untold(answer, told)) <= {fact.shown for fact in facts_of(answer)}


@given(st.text(alphabet="1234567890,. \n-ABab'\"“”《》十百万千三\ud800"))
def test_a_text_tells_its_own_numbers_and_names(text: str) -> None:
    source = Source(text)
    assert all(source.tells(fact) for fact in facts_of(text))
