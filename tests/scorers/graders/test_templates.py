import pytest

from harness.records import Case, Completion, ToolCall
from harness.scorers.graders.templates import (
    AnswerLacksError,
    CaseLacksError,
    filled,
    missing_from,
    variables,
)

CASE = Case(
    id="refund",
    messages=({"role": "user", "content": "Hello"}, {"role": "user", "content": "I want my money back"}),
    expected={"label": "billing", "codes": [7, 8.5, True, None]},
    tags=("money", "vip"),
    metadata={"reference_answer": "Of course.", "id": "not this one", "a-b": {"c d": "deep"}, "语言": "中文"},
)


def fill(template: str, text: str = "", *, fence: bool = False) -> str:
    calls = (ToolCall(name="look_up", arguments='{"order": {"id": 12}}', id="call_1"),)
    return filled(template, CASE, Completion(text=text, tool_calls=calls), fence=fence)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("no variable", "no variable"),
        ("{{ item.prompt }}", "I want my money back"),
        ("{{item.id}}: {{item.expected.label}}", "refund: billing"),
        ("{{ item.reference_answer }}", "Of course."),
        ("{{ item.metadata.id }}", "not this one"),
        ("{{ item.tags[1] }} {{ item.tags.0 }}", "vip money"),
        ("{{ item.expected.codes }}", "[7,8.5,true,null]"),
        ("{{ item.expected.codes[0] }}", "7"),
        ('{{ item["a-b"]["c d"] }}', "deep"),
        ("{{ item.a-b['c d'] }}", "deep"),
        ("{{ item.语言 }}", "中文"),
        ("{{ sample.output_text }}", '{"city": "北京", "n": [1]}'),
        ("{{ sample.output_json.city }}", "北京"),
        ("{{ sample.output_json }}", '{"city":"北京","n":[1]}'),
        ("{{ sample.output_json.n[0] }}", "1"),
        ("{{ sample.output_tools[0].function.name }}", "look_up"),
        ("{{ sample.output_tools[0].function.arguments.order.id }}", "12"),
        ("{{ sample.choices[0].message.content }}", '{"city": "北京", "n": [1]}'),
        ("{{ sample.choices[0].message.tool_calls[0].id }}", "call_1"),
    ],
)
def test_variable_has_the_value_of_the_case_or_the_answer(template: str, text: str) -> None:
    assert fill(template, '{"city": "北京", "n": [1]}') == text


def test_answer_that_looks_like_a_template_is_not_filled_in() -> None:
    assert fill("{{ sample.output_text }}", "{{ item.expected.label }}") == "{{ item.expected.label }}"
    assert fill("{{ sample.output_text }}", r"\g<0> \1 %s {0}") == r"\g<0> \1 %s {0}"


def test_fence_is_around_what_the_answer_holds_alone() -> None:
    text = fill("Right: {{ item.expected.label }}. Said: {{ sample.output_text }}", "bug", fence=True)
    assert text.startswith("Right: billing. Said: <answer-")
    assert "\nbug\n</answer-" in text


def test_half_a_character_of_an_answer_can_be_sent() -> None:
    assert fill("{{ sample.output_text }}", "\ud83d") == "�"


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{{ item.answer }}", "`item.answer`: the case has no 'answer'"),
        ("{{ item.expected.labl }}", "did you mean 'label'?"),
        ("{{ item.tags[2] }}", "`item.tags[2]`: the case has no 2"),
        ("{{ item.prompt.text }}", "the case has no 'text'"),
        ("{{ item.prompt[0] }}", "the case has no 0"),
    ],
)
def test_what_the_case_lacks_is_named(template: str, what: str) -> None:
    with pytest.raises(CaseLacksError) as caught:
        fill(template)
    assert what in str(caught.value)
    assert what in (missing_from(CASE, ["fine", template]) or "")


def test_case_that_has_everything_lacks_nothing() -> None:
    assert missing_from(CASE, ["{{ item.prompt }} {{ sample.output_json.x }}"]) is None


def test_case_without_an_expectation_lacks_it() -> None:
    assert "no 'expected'" in (missing_from(Case(id="a", messages=()), ["{{ item.expected }}"]) or "")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Berlin", "the answer is not JSON: 'Berlin'"),
        ('{"city": NaN}', "the answer is not JSON"),
        ("[" * 100_000, "the answer is not JSON"),
        ('{"town": "Berlin"}', "the answer has no 'city', only ['town']"),
        ("[1]", "the answer has no 'city'"),
        ("", "the answer is not JSON"),
    ],
)
def test_what_the_answer_lacks_is_named(text: str, what: str) -> None:
    with pytest.raises(AnswerLacksError) as caught:
        fill("{{ sample.output_json.city }}", text)
    assert what in str(caught.value)


def test_answer_without_a_call_lacks_it() -> None:
    with pytest.raises(AnswerLacksError, match="the answer has no 0"):
        filled("{{ sample.output_tools[0].function.name }}", CASE, Completion(text="no"))


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{{ output_text }}", "'{{ output_text }}' is no variable; write {{ item.NAME }}"),
        ("{{ sample }}", "is no variable"),
        ("{{}}", "is no variable"),
        ("{{ item.x | upper }}", "is no variable"),
        ("{{ item.__class__() }}", "is no variable"),
        ("{{ sample.output_txt }}", "did you mean 'output_text'?"),
        ("{{ sample[0] }}", "`sample` has no 0"),
    ],
)
def test_what_is_no_variable_is_refused(template: str, what: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are compared below
        variables(template)
    assert what in str(caught.value)


@pytest.mark.parametrize("name", ["__class__", "__init__.__globals__"])
def test_attributes_of_python_are_out_of_reach(name: str) -> None:
    with pytest.raises(CaseLacksError):
        fill(f"{{{{ item.{name} }}}}")


def test_metadata_that_is_a_list_is_walked() -> None:
    case = Case(id="a", messages=(), metadata={"rows": ({"n": 1}, {"n": 2})})
    assert filled("{{ item.rows[1].n }}", case, Completion(text="")) == "2"
