"""Rows: what is taken, in which form it leaves, and the words for what is wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.localserver.jobs.rows import MAX_WHAT, SHAPE_NAMES, RowError, Shape, read_row, shape_of

ASSISTANT = {"role": "assistant", "content": "yes"}
USER = {"role": "user", "content": "well?"}


def taken(row: dict[str, object], shape: Shape = "chat") -> dict[str, object]:
    return read_row(row, shape, place="Example 3")


def refusal(row: dict[str, object], shape: Shape = "chat") -> tuple[str, bool]:
    with pytest.raises(RowError) as caught:
        taken(row, shape)
    return str(caught.value), caught.value.extra


def chat(*messages: object, **extra: object) -> dict[str, object]:
    return {"messages": list(messages), **extra}


def preference(**changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "input": {"messages": [USER]},
        "preferred_output": [ASSISTANT],
        "non_preferred_output": [{"role": "assistant", "content": "no"}],
    }
    row |= changes
    return {key: value for key, value in row.items() if value is not None}


@pytest.mark.parametrize(
    ("keys", "shape"),
    [
        (["messages"], "chat"),
        (["prompt"], "completion"),
        (["completion", "else"], "completion"),
        (["input"], "preference"),
        (["non_preferred_completion"], "preference"),
        (["text"], None),
        ([], None),
    ],
)
def test_the_keys_tell_the_shape(keys: list[str], shape: Shape | None) -> None:
    assert shape_of(dict.fromkeys(keys)) == shape


# --- chat ---


def test_weights_parts_and_developers_are_understood() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert taken(
        chat(
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": parts, "name": "Ann"},
            {"role": "assistant", "content": "no", "weight": 0},
            {"role": "assistant", "content": "yes", "weight": 1.0},
        )
    ) == {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "one\ntwo"},
            {"role": "assistant", "content": "no", "weight": 0},
            {"role": "assistant", "content": "yes", "weight": 1},
        ]
    }


def test_what_says_nothing_may_be_there() -> None:
    row = chat(USER, ASSISTANT | {"tool_calls": None}, tools=[], parallel_tool_calls=True)
    assert taken(row) == {"messages": [USER, ASSISTANT]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tools": []}, "Example 3 is missing key 'messages'"),
        (chat(), "Example 3 'messages' must be a list with at least one message."),
        ({"messages": {"0": 1}}, "Example 3 'messages' must be a list with at least one message."),
        (chat("hello"), "Example 3, message 1 is not an object."),
        (chat(USER, {"content": "x"}), "Example 3, message 2 Discriminator 'role' is missing in value"),
        (
            chat({"role": ["user"], "content": "x"}),
            (
                "Example 3, message 1 Input tag ['user'] found using 'role' does not match any of: 'system', 'developer', "
                "'user', 'assistant', 'function', 'tool'"
            ),
        ),
        (
            chat({"role": "user", "content": None}, ASSISTANT),
            "Example 3, message 1 'content' must be a string or a list of text parts.",
        ),
        (
            chat({"role": "user", "content": [{"type": "image_url"}]}),
            "Example 3, message 1 has a content part that is not text, which the local model cannot be trained on.",
        ),
        (
            chat(USER),
            "Example 3 has no message with role 'assistant' and a weight other than 0 to train on.",
        ),
        (
            chat(USER, ASSISTANT | {"weight": 0}),
            "Example 3 has no message with role 'assistant' and a weight other than 0 to train on.",
        ),
        (
            chat(USER, ASSISTANT, tools=[{}]),
            "Example 3 contains 'tools', which the local model cannot be trained on.",
        ),
        (
            chat(USER, ASSISTANT | {"tool_calls": [{}]}),
            "Example 3, message 2 contains 'tool_calls', which the local model cannot be trained on.",
        ),
        (
            chat({"role": "tool", "content": "x"}, ASSISTANT),
            "Example 3, message 1 has role 'tool', which the local model cannot be trained on.",
        ),
    ],
)
def test_what_is_wrong_with_a_chat_is_named(row: dict[str, object], message: str) -> None:
    assert refusal(row) == (message, False)


@pytest.mark.parametrize("weight", [0.5, [], True, "1", 2])
def test_a_weight_is_0_or_1(weight: object) -> None:
    assert "'weight' must be 0 or 1" in refusal(chat(USER, ASSISTANT | {"weight": weight}))[0]


def test_only_answers_have_a_weight() -> None:
    assert "stand on an assistant message" in refusal(chat(USER | {"weight": 1}, ASSISTANT))[0]


@pytest.mark.parametrize(
    ("row", "shape", "message"),
    [
        (chat(USER, ASSISTANT, weight=1), "chat", 'Example 3 contains an extra "weight".'),
        (chat(USER | {"mood": "x"}, ASSISTANT), "chat", 'Example 3, message 1 contains an extra "mood".'),
        (
            {"prompt": "a", "completion": "b", "weight": 1},
            "completion",
            'Example 3 contains an extra "weight".',
        ),
        (preference(reason="x"), "preference", 'Example 3 contains an extra "reason".'),
        (
            preference(preferred_completion=[ASSISTANT]),
            "preference",
            'Example 3 contains an extra "preferred_completion".',
        ),
        (
            preference(input={"messages": [USER], "mood": 1}),
            "preference",
            "Example 3 'input' contains an extra \"mood\".",
        ),
    ],
)
def test_a_key_too_many_is_of_a_kind_of_its_own(row: dict[str, object], shape: Shape, message: str) -> None:
    assert refusal(row, shape) == (message, True)


# --- prompt and completion ---


def test_a_pair_is_taken_as_it_is() -> None:
    row: dict[str, object] = {"prompt": "", "completion": " b\n"}
    assert taken(row, "completion") == row


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "a"}, "Example 3 is missing key 'completion'"),
        ({"completion": "a"}, "Example 3 is missing key 'prompt'"),
        ({"prompt": ["a"], "completion": "a"}, "Example 3 'prompt' must be a string."),
        ({"prompt": "a", "completion": None}, "Example 3 'completion' must be a string."),
        (
            {"prompt": "a", "completion": ""},
            "Example 3 'completion' must not be empty: there is nothing in it to train on.",
        ),
    ],
)
def test_what_is_wrong_with_a_pair_is_named(row: dict[str, object], message: str) -> None:
    assert refusal(row, "completion") == (message, False)


# --- preferences ---


@pytest.mark.parametrize(
    ("preferred", "rejected"),
    [
        ("preferred_output", "non_preferred_output"),
        ("preferred_completion", "non_preferred_completion"),
    ],
)
def test_both_spellings_of_preferences_are_taken(preferred: str, rejected: str) -> None:
    row: dict[str, object] = {
        "input": {
            "messages": [
                {"role": "developer", "content": "be brief"},
                USER,
                ASSISTANT | {"weight": 0},
                USER,
            ],
            "tools": [],
            "parallel_tool_calls": True,
        },
        preferred: [ASSISTANT],
        rejected: [{"role": "assistant", "content": [{"type": "text", "text": "no"}]}],
    }
    assert taken(row, "preference") == {
        "input": [{"role": "system", "content": "be brief"}, USER, ASSISTANT, USER],
        "preferred": "yes",
        "rejected": "no",
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (preference(input=None), "Example 3 is missing key 'input'"),
        (preference(preferred_output=None), "Example 3 is missing key 'preferred_output'"),
        (preference(non_preferred_output=None), "Example 3 is missing key 'non_preferred_output'"),
        (preference(input="hello"), "Example 3 'input' must be an object with 'messages'."),
        (preference(input={}), "Example 3 'input' is missing key 'messages'"),
        (
            preference(input={"messages": []}),
            "Example 3 'input' 'messages' must be a list with at least one message.",
        ),
        (
            preference(input={"messages": [{"content": "x"}]}),
            "Example 3 'input', message 1 Discriminator 'role' is missing in value",
        ),
        (
            preference(input={"messages": [USER], "tools": [{}]}),
            "Example 3 'input' contains 'tools', which the local model cannot be trained on.",
        ),
        (
            preference(preferred_output=[ASSISTANT, ASSISTANT]),
            "Example 3 'preferred_output' must be a list with exactly one message.",
        ),
        (
            preference(non_preferred_output=ASSISTANT),
            "Example 3 'non_preferred_output' must be a list with exactly one message.",
        ),
        (
            preference(non_preferred_output=[USER]),
            "Example 3 'non_preferred_output' message 1 must have role 'assistant'.",
        ),
        (
            preference(preferred_output=[{"role": "assistant", "content": None}]),
            "Example 3 'preferred_output' message 1 'content' must be a string or a list of text parts.",
        ),
    ],
)
def test_what_is_wrong_with_a_preference_is_named(row: dict[str, object], message: str) -> None:
    assert refusal(row, "preference") == (message, False)


# --- anything ---


def test_a_long_key_is_not_repeated_at_length() -> None:
    assert len(refusal(chat(USER, ASSISTANT, **{"k" * 100_000: 1}))[0]) == MAX_WHAT + 3


KEYS = st.sampled_from(
    [
        "messages",
        "role",
        "content",
        "weight",
        "name",
        "tools",
        "tool_calls",
        "type",
        "text",
        "prompt",
        "completion",
        "input",
        "preferred_output",
        "non_preferred_output",
        "preferred_completion",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["user", "assistant", "tool", "text", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(row=st.dictionaries(KEYS, VALUES, max_size=4), shape=st.sampled_from(sorted(SHAPE_NAMES)))
def test_any_json_is_a_row_or_an_error_with_words(row: dict[str, object], shape: Shape) -> None:
    found: dict[str, object] = {}
    message = ""
    try:
        found = taken(row, shape)
    except RowError as error:
        message = str(error)
    plain = ({"messages"}, {"prompt", "completion"}, {"input", "preferred", "rejected"})
    assert message.startswith("Example 3") or set(found) in plain
