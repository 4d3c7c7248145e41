"""Gemini's tuning rows: `contents` of roles and parts with a `systemInstruction`, or `text_input` and `output`."""

from collections.abc import Mapping

from harness.dataset.convert.turns import Conversion, NotConvertible, chat_row, left_over, text_at
from harness.records import Json
from harness.serial import shown

_ROLES = {"user": "user", "model": "assistant", "system": "system"}
_INSTRUCTIONS = ("systemInstruction", "system_instruction")


def from_gemini(row: Mapping[str, Json]) -> Conversion:
    """A conversation; the text parts of a turn are one text."""
    if "text_input" in row:
        turns = [
            ("user", text_at(row, "text_input", required=True)),
            ("assistant", text_at(row, "output", required=True)),
        ]
        return Conversion(row=chat_row(turns), dropped=left_over(row, ("text_input", "output")))
    contents = row.get("contents")
    if not isinstance(contents, list) or not contents:
        raise NotConvertible(f"contents is {shown(contents)}, not a list of turns")
    turns = []
    for number, content in enumerate(contents, start=1):
        role = content.get("role", "user") if isinstance(content, Mapping) else None
        if not isinstance(role, str) or role not in _ROLES:
            raise NotConvertible(f"turn {number} is by {shown(role)}, not user or model")
        turns.append((_ROLES[role], _text(content, f"turn {number}")))
    given = next((row[key] for key in _INSTRUCTIONS if row.get(key)), None)
    system = given if isinstance(given, str) else _text(given, "systemInstruction") if given else ""
    return Conversion(
        row=chat_row(turns, system=system), dropped=left_over(row, ("contents", *_INSTRUCTIONS))
    )


def _text(content: Json, place: str) -> str:
    parts = content.get("parts") if isinstance(content, Mapping) else None
    if isinstance(parts, Mapping):
        parts = [parts]
    if not isinstance(parts, list):
        raise NotConvertible(f"{place} has no parts")
    texts = [part.get("text") if isinstance(part, Mapping) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise NotConvertible(f"{place} has a part that is not text: only text is converted")
    return "".join(str(text) for text in texts)
