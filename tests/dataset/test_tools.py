import pytest

from harness.dataset.tokens import count_tokens
from harness.dataset.tools import tool_text


def tool(name: str, properties: dict[str, object], *required: str) -> dict[str, object]:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def test_tools_read_as_types_with_their_descriptions() -> None:
    described = {
        "type": "function",
        "function": {
            "name": "book",
            "description": "Book a table.",
            "parameters": {
                "type": "object",
                "properties": {
                    "day": {"type": "string", "enum": ["mon", "tue"], "description": "Which day"},
                    "guests": {"type": "integer"},
                    "notes": {"type": "array", "items": {"type": "string"}},
                    "place": {"type": "object", "properties": {"x": {"type": ["number", "null"]}}},
                },
                "required": ["day"],
            },
        },
    }
    assert tool_text({"tools": [described, tool("cancel", {})]}).split("\n") == [
        "namespace functions {",
        "",
        "// Book a table.",
        "type book = (_: {",
        "// Which day",
        'day: "mon" | "tue",',
        "guests?: number,",
        "notes?: string[],",
        "place?: {",
        "x?: number | null,",
        "},",
        "}) => any;",
        "",
        "type cancel = () => any;",
        "",
        "} // namespace functions",
    ]


def test_older_functions_read_the_same() -> None:
    one = tool("f", {"x": {"type": "boolean"}}, "x")
    assert tool_text({"functions": [one["function"]]}) == tool_text({"tools": [one]})


@pytest.mark.parametrize("row", [{}, {"tools": []}, {"tools": 5}, {"tools": [5]}, {"functions": "x"}])
def test_no_tools_no_text(row: dict[str, object]) -> None:
    assert tool_text(row) == ""


def test_schema_without_end_has_one() -> None:
    node: dict[str, object] = {"type": "array"}
    node["items"] = node
    assert count_tokens(tool_text({"tools": [tool("f", {"x": node})]})) < 100
