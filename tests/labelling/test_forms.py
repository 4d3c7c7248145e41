import pytest

from harness.labelling.forms import forms_of
from harness.labelling.sheets import explained, read_label
from harness.records import ScorerSpec
from harness.verdict import PREFERENCE

POLITE = ScorerSpec(
    type="tests.labelling.own_judge:Polite", name="polite", settings={"standard": "that of a palace"}
)
LABEL_MODEL = ScorerSpec(
    type="label_model",
    name="tone",
    settings={
        "model": "judge",
        "input": [{"role": "user", "content": "Tone of {{sample.output_text}}?"}],
        "labels": ["kind", "rude"],
        "passing_labels": ["kind"],
    },
)


def test_a_scorer_of_ones_own_is_asked_as_pass_or_fail_with_its_words_and_settings() -> None:
    (form,) = forms_of(POLITE)
    assert form.instruction == "Whether the answer is polite.\nstandard: that of a palace"
    assert dict(form.values) == {"pass": 1.0, "fail": 0.0}
    assert form.choices == "pass; fail; cannot say"
    assert list(explained("shop", form)) == [
        "shop, polite: Whether the answer is polite. standard: that of a palace"
    ]


def test_what_a_record_without_words_gets_from_python_is_not_shown() -> None:
    (form,) = forms_of(ScorerSpec(type="tests.labelling.own_judge:Wordless", name="wordless"))
    assert form.instruction == ""


def test_an_openai_grader_that_asks_a_model_is_asked_of_people_too() -> None:
    (form,) = forms_of(LABEL_MODEL)
    assert set(form.values) == {"pass", "fail"}
    assert 'passing_labels: ["kind"]' in form.instruction


@pytest.mark.parametrize(
    "spec",
    [
        ScorerSpec(type="exact_match", name="exact_match"),
        ScorerSpec(type="length", name="length", settings={"unit": "words", "at_most": 3}),
        ScorerSpec(type="refusal", name="refusal", settings={"expect": "comply"}),
    ],
    ids=lambda spec: spec.type,
)
def test_a_scorer_without_a_judge_has_nothing_for_people(spec: ScorerSpec) -> None:
    assert forms_of(spec) == ()


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Pass", "pass"),
        ("p", "pass"),
        ("TRUE", "pass"),
        ("yes", "pass"),
        ("FAIL", "fail"),
        ("n", "fail"),
        ("1", None),
    ],
)
def test_pass_and_fail_are_read_in_the_words_people_use(text: str, label: str | None) -> None:
    assert read_label(text, forms_of(POLITE)[0]) == label


def test_a_comparison_is_read_whatever_the_case_of_the_letter() -> None:
    (form,) = forms_of(ScorerSpec(type="pairwise", name="pairwise"))
    assert form.question == PREFERENCE
    assert [read_label(text, form) for text in ("a", "B", "Tie", "C")] == ["A", "B", "tie", None]
