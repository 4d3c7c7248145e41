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


# The tools of a real job, by name and parameters (a list of texts is an enumeration, a star marks what is required).
DRONE = {
    "takeoff_drone": {"altitude*": "integer"},
    "land_drone": {"location*": ["current", "home_base", "custom"], "coordinates": "object"},
    "control_drone_movement": {
        "direction*": ["forward", "backward", "left", "right", "up", "down"],
        "distance*": "integer",
    },
    "set_drone_speed": {"speed*": "integer"},
    "control_camera": {"mode*": ["photo", "video", "panorama"], "duration": "integer"},
    "control_gimbal": {"tilt*": "integer", "pan*": "integer"},
    "set_drone_lighting": {"mode*": ["on", "off", "blink", "sos"]},
    "return_to_home": {},
    "set_battery_saver_mode": {"status*": ["on", "off"]},
    "set_obstacle_avoidance": {"mode*": ["on", "off"]},
    "set_follow_me_mode": {"status*": ["on", "off"]},
    "calibrate_sensors": {},
    "set_autopilot": {"status*": ["on", "off"]},
    "configure_led_display": {
        "pattern*": ["solid", "blink", "pulse", "rainbow"],
        "color": ["red", "blue", "green", "yellow", "white"],
    },
    "set_home_location": {"coordinates*": "object"},
    "reject_request": {},
}
# Tokens that job billed a row for its 16 tools: a constant 379, of which 3 belong to the call.
BILLED = 376


def test_tools_of_a_real_job_are_counted_within_two_percent() -> None:
    def field(kind: object) -> dict[str, object]:
        return {"type": "string", "enum": kind} if isinstance(kind, list) else {"type": kind}

    tools = [
        tool(
            name,
            {key.rstrip("*"): field(kind) for key, kind in fields.items()},
            *(key.rstrip("*") for key in fields if key.endswith("*")),
        )
        for name, fields in DRONE.items()
    ]
    counted = count_tokens(tool_text({"tools": tools}), encoding="cl100k_base")
    assert counted == 381
    assert abs(counted - BILLED) <= 0.02 * BILLED
