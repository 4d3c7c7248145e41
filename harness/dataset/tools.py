"""What does a list of tools look like to the model? A namespace of TypeScript-like types, as its makers' models repeat it.

Counted so, a real job's 16 tools come to 381 tokens of the 376 it billed; the cookbook's formula gives 462 to 510.
"""

from collections.abc import Iterator, Mapping

from harness.records import Json

_SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
# Schemas that refer to themselves end somewhere.
_DEEPEST = 8


def tool_text(row: Mapping[str, Json]) -> str:
    """The rendering of a row's `tools`, or of its older `functions`; empty where it has none."""
    tools = row.get("tools")
    wrapped = [tool.get("function") for tool in _objects(tools)]
    functions = [
        function for function in (*wrapped, *_objects(row.get("functions"))) if isinstance(function, Mapping)
    ]
    if not functions:
        return ""
    lines = [line for function in functions for line in _function_lines(function)]
    return "\n".join(["namespace functions {", "", *lines, "} // namespace functions"])


def _objects(value: Json) -> list[Mapping[str, Json]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _function_lines(function: Mapping[str, Json]) -> Iterator[str]:
    yield from _comment(function)
    name = function.get("name")
    parameters = function.get("parameters")
    fields = _fields(parameters, depth=0) if isinstance(parameters, Mapping) else []
    if fields:
        yield f"type {name} = (_: {{"
        yield from fields
        yield "}) => any;"
    else:
        yield f"type {name} = () => any;"
    yield ""


def _fields(schema: Mapping[str, Json], *, depth: int) -> list[str]:
    properties, required = schema.get("properties"), schema.get("required")
    needed = required if isinstance(required, list) else []
    lines: list[str] = []
    for name, field in properties.items() if isinstance(properties, Mapping) else ():
        if not isinstance(field, Mapping):
            continue
        lines += _comment(field)
        lines.append(f"{name}{'' if name in needed else '?'}: {_type(field, depth=depth + 1)},")
    return lines


def _comment(schema: Mapping[str, Json]) -> list[str]:
    described = schema.get("description")
    return (
        [f"// {line}" for line in described.split("\n")] if isinstance(described, str) and described else []
    )


def _type(schema: Json, *, depth: int) -> str:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return "any"
    choices = schema.get("enum")
    if isinstance(choices, list):
        return " | ".join(f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices)
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": one}, depth=depth + 1) for one in kind)
    either = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(either, list):
        return " | ".join(_type(one, depth=depth + 1) for one in either)
    if kind == "array":
        return f"{_type(schema.get('items'), depth=depth + 1)}[]"
    if kind == "object":
        fields = _fields(schema, depth=depth)
        return "\n".join(["{", *fields, "}"]) if fields else "object"
    return _SIMPLE.get(str(kind), "any")
