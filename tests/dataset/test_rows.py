import pytest

from harness.dataset.rows import row_problems
from harness.dataset.shapes import foreign_source, form_of

USER = {"role": "user", "content": "hi"}
ANSWER = {"role": "assistant", "content": "ho"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,x"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


def found(row: object) -> list[tuple[str, int | None]]:
    return [(problem.category, problem.message) for problem in row_problems(row)]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [USER, ANSWER]},
        {
            "messages": [
                {"role": "developer", "content": "brief"},
                USER,
                {**ANSWER, "weight": 0},
                USER,
                ANSWER,
            ]
        },
        {"messages": [USER, {"role": "assistant", "content": None, "refusal": "no"}]},
        {
            "messages": [USER, {"role": "assistant", "tool_calls": [CALL]}],
            "tools": [{"type": "function", "function": {"name": "f"}}],
        },
        {
            "messages": [
                USER,
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": "1"},
                ANSWER,
            ]
        },
        {"messages": [USER, {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]},
                ANSWER,
            ]
        },
        {"messages": [USER], "reference": 5},
        {"messages": [USER, ANSWER, USER], "reference": {"any": ["thing"]}},
        {
            "messages": [
                USER,
                {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "c2"}]},
                {"role": "tool", "tool_call_id": "c2", "content": "2"},
                {"role": "tool", "tool_call_id": "c1", "content": "1"},
                ANSWER,
            ]
        },
        {"prompt": "", "completion": " x"},
        {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [ANSWER]},
    ],
)
def test_rows_a_job_takes_have_no_problem(row: dict[str, object]) -> None:
    assert found(row) == []


@pytest.mark.parametrize(
    ("row", "problems"),
    [
        ({"messages": [USER, ANSWER], "weight": 0}, [("extra_key", None)]),
        ({"messages": [USER, {**ANSWER, "weight": 0}]}, [("no_trained_message", None)]),
        ({"messages": [{**USER, "weight": 1}, ANSWER]}, [("wrong_weight", 1)]),
        ({"messages": [USER, {**ANSWER, "wieght": 1}]}, [("message_unrecognized_key", 2)]),
        ({"messages": [USER, {"role": "assistant", "content": ""}]}, [("missing_content", 2)]),
        ({"messages": [{"role": "user", "content": ""}, {**ANSWER, "content": "", "weight": 0}, ANSWER]}, []),
        ({"messages": [USER, {"role": "assistant", "content": []}]}, [("missing_content", 2)]),
        ({"messages": [USER, {"role": "assistant", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]}, [("wrong_part", 2)]),
        ({"messages": [{"role": "user", "content": ["text"]}, ANSWER]}, [("wrong_part", 1)]),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {"x": 1}}}]}]}, [("wrong_tool_call", 2)]),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": "{x"}}]}]}, [("wrong_tool_call", 2)]),
        ({"messages": [USER, {"role": "tool", "tool_call_id": "c1", "content": "1"}, ANSWER]}, [("unmatched_tool_id", 2)]),
        ({"messages": [USER, ANSWER], "tools": {}}, [("wrong_tools", None)]),
        ({"messages": [USER, ANSWER], "tools": [{"function": {"name": "f", "parameters": 5}}]}, [("wrong_tools", None)]),
        ({"messages": [USER, ANSWER], "functions": 5}, [("wrong_tools", None)]),
        ({"messages": [USER, ANSWER], "parallel_tool_calls": "yes"}, [("wrong_type", None)]),
        ({"messages": [USER, {"role": "assistant", "refusal": 5}]}, [("wrong_type", 2)]),
        ({"messages": [USER, {**ANSWER, "tool_calls": []}]}, [("wrong_tool_call", 2)]),
        ({"messages": [USER, {**ANSWER, "tool_calls": [None]}]}, [("wrong_tool_call", 2)]),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [{**CALL, "type": "web"}]}]}, [("wrong_tool_call", 2)]),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, USER, ANSWER]}, [("unmatched_tool_id", 2)]),
        ({"messages": [{"role": "function", "content": "1"}, ANSWER]}, [("message_missing_key", 1)]),
        ({"messages": [{"role": "user", "content": [IMAGE] * 11}, ANSWER]}, [("wrong_part", 1)]),
        ({"messages": [USER, {"role": "user", "content": 5}], "answer": "4"}, [("missing_content", 2)]),
        ({"messages": [USER, ANSWER], "answer": "4"}, [("extra_key", None)]),
        ([{"messages": [USER, ANSWER]}], [("data_type", None)]),
        ({"messages": [{**USER, "name": 5}, ANSWER]}, [("wrong_type", 1)]),
        ({"prompt": "x", "completion": ""}, [("missing_content", None)]),
        ({"prompt": "x"}, [("wrong_type", None)]),
        ({"input": {"messages": [USER, ANSWER]}, "preferred_output": [ANSWER], "non_preferred_output": [ANSWER]}, [("wrong_turn", 2)]),
        ({"input": {"messages": [USER]}, "preferred_output": [ANSWER, ANSWER], "non_preferred_output": [USER]}, [("wrong_preference", None)] * 2),
        ({"mesages": []}, [("missing_messages_list", None)]),
        ("x", [("data_type", None)]),
    ],
)  # fmt: skip
def test_each_mistake_has_a_category_and_the_message_it_is_in(
    row: object, problems: list[tuple[str, int | None]]
) -> None:
    assert found(row) == problems
    assert all(problem.remedy for problem in row_problems(row))


@pytest.mark.parametrize(
    ("row", "source"),
    [
        ({"conversations": [{"from": "human", "value": "x"}]}, "sharegpt"),
        ({"conversation": [{"role": "user", "content": "x"}]}, "sharegpt"),
        ({"instruction": "x", "input": "", "output": "y"}, "alpaca"),
        ({"instruction": "x", "context": "", "response": "y"}, "alpaca"),
        ({"contents": [{"role": "user", "parts": [{"text": "x"}]}]}, "gemini"),
        ({"meta_instruction": "x", "chat": []}, "chatlaw"),
        ({"question": "x", "answer": "y"}, "prompt-completion"),
        ({"text": "x"}, None),
    ],
)
def test_foreign_shapes_are_recognised_and_their_conversion_named(
    row: dict[str, object], source: str | None
) -> None:
    assert form_of(row) is None
    assert foreign_source(row) == source
    (problem,) = row_problems(row)
    assert problem.source == source
